"""Texts are decoded as Java decodes them: compared with what Java 17 made of all codes."""

from collections.abc import Iterator
from hashlib import sha256

import pytest

from cdc_sms.sources.binlog.charsets import decoder

# The digest of what Java makes of every single byte, one after the other.
OF_ONE_BYTE = {
    "ascii": "0a20b8e2401a",
    "binary": "2c9f69694a8f",
    "cp1250": "1092996c034d",
    "cp1251": "c4220e02ccaa",
    "cp1256": "e17ca2cafb7f",
    "cp1257": "5e5c96eb7d92",
    "cp850": "7cfbbea9c3d0",
    "cp852": "0fdcb19b90d2",
    "cp866": "08fad809c413",
    "greek": "f39c08f33bf2",
    "hebrew": "ad5ceafb5848",
    "koi8r": "81e87e3d0105",
    "latin1": "8bd07a38df8a",
    "latin2": "252dc0518245",
    "latin5": "0ed76199451b",
    "latin7": "630f317a1c95",
    "macce": "5bd9dab3ac86",
    "macroman": "1c77ee2df9d4",
}
# The same of every pair whose first byte is none of ASCII.
OF_TWO_BYTES = {
    "euckr": "bd24289add8c",
    "gb2312": "63ab971d86bf",
    "gbk": "8f791ee3b28f",
    "sjis": "ee1a91fe73cc",
    "ujis": "8ecd89e19b3f",
}


def digest(texts: Iterator[str]) -> str:
    """Return what the texts are compared by."""
    return sha256("\0".join(texts).encode()).hexdigest()[:12]


@pytest.mark.parametrize("charset", OF_ONE_BYTE)
def test_every_byte_is_decoded_as_java_does(charset: str) -> None:
    decode = decoder(charset)

    assert digest(decode(bytes([byte])) for byte in range(256)) == OF_ONE_BYTE[charset]


@pytest.mark.parametrize("charset", OF_TWO_BYTES)
def test_every_pair_of_bytes_is_decoded_as_java_does(charset: str) -> None:
    decode = decoder(charset)

    pairs = (bytes([a, b]) for a in range(0x80, 0x100) for b in range(0x20, 0x100))
    assert digest(map(decode, pairs)) == OF_TWO_BYTES[charset]


@pytest.mark.parametrize(
    ("charset", "raw", "expected"),
    [
        pytest.param("utf8mb4", "Zażółć 😀".encode(), "Zażółć 😀", id="utf8mb4"),
        pytest.param("utf8", b"\xc5\xbc", "ż", id="utf8, an older server's name"),
        pytest.param("ucs2", b"\x01\x7c\x20\xac", "ż€", id="ucs2"),
        pytest.param("utf16", "a😀".encode("utf_16_be"), "a😀", id="utf16"),
        pytest.param("utf16", b"\xfe\xff\x00A", "A", id="utf16 with a mark"),
        pytest.param("utf16", b"\xff\xfeA\x00", "A", id="utf16 with a mark of the other order"),
        pytest.param("utf16", b"\xd8\x00\x00A", "\ufffdA", id="utf16 with half a character"),
        pytest.param("utf16le", "a😀".encode("utf_16_le"), "a😀", id="utf16le"),
        pytest.param("utf16le", b"\xff\xfeA\x00", "\ufeffA", id="utf16le with a mark"),
        pytest.param("utf32", "a😀".encode("utf_32_be"), "a😀", id="utf32"),
        pytest.param("utf32", b"\x00\x00\xfe\xff\x00\x00\x00A", "A", id="utf32 with a mark"),
        pytest.param("utf32", b"\xff\xfe\x00\x00A\x00\x00\x00", "A",
                     id="utf32 with a mark of the other order"),
        pytest.param("big5", b"\xa7A\xa6n\xa1\x5a", "你好\uff3f", id="big5"),
        pytest.param("cp932", b"\x82\xb1\xb1\x87@\xfaX\x81\x5c", "こｱ①㈱―", id="cp932"),
        pytest.param("eucjpms", b"\xa4\xb3\xad\xa1\x8f\xf3\xfd\x8f\xf4\xa1\x8f\xf4\xad", "こ①ⅠⅢ℡",
                     id="eucjpms"),
        pytest.param("gb18030", "你好€😀".encode("gb18030"), "你好€😀", id="gb18030"),
        pytest.param("gb18030", b"\xa6\xd9\xfe\x59\x84\x31\x82\x36", "\ufe10\u9fb4\ue78d",
                     id="gb18030 of 2005"),
        pytest.param("tis620", b"\xca\xc7\xd1\xca", "สวัส", id="tis620"),
        pytest.param("koi8u", b"\xb7\xd6\xc1\xcb", "╥жак", id="koi8u, which Java lacks"),
        pytest.param("dec8", b"\xe9", "é", id="dec8, which Java lacks"),
        pytest.param("of the future", "ż".encode(), "ż", id="an unknown one"),
    ],
)  # fmt: skip
def test_a_text_is_decoded_as_debezium_decodes_it(charset: str, raw: bytes, expected: str) -> None:
    assert decoder(charset)(raw) == expected
