"""Texts of MySQL's and MariaDB's character sets, decoded as Debezium decodes them.

Pure. Debezium takes the Java character set that MySQL's JDBC driver names for the server's, also
where that is another one (``dec8``, ``swe7``, ``armscii8``, ``keybcs2``, …): so do we, for a text
must not depend on who captured it. What a text means is read from the row itself before it is
sent. Bytes that are no text become U+FFFD, as in Java.

Source: MySQL Connector/J 9.1, ``CharsetMapping``; Debezium 3.5, ``charset_mappings.json``; Java
17's character sets, compared with Python's byte by byte.
"""

import codecs
from collections.abc import Callable, Iterator, Mapping
from functools import cache

Decode = Callable[[bytes], str]
"""From a text's bytes to the text; never fails."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

UTF_8 = frozenset({"utf8", "utf8mb3", "utf8mb4"})

_CODECS: Mapping[str, str] = {
    "armscii8": "cp1252",
    "ascii": "ascii",
    "binary": "latin_1",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "dec8": "cp1252",
    "geostd8": "cp1252",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "hp8": "cp1252",
    "keybcs2": "cp852",
    "koi8r": "koi8_r",
    "koi8u": "koi8_r",
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "macce": "mac_latin2",
    "macroman": "mac_roman",
    "swe7": "cp1252",
    "tis620": "iso8859_11",
    "utf16le": "utf_16_le",
    "utf8": "utf_8",
    "utf8mb3": "utf_8",
    "utf8mb4": "utf_8",
}
"""Character sets that Python's codec of this name decodes just as Java does."""


@cache
def decoder(charset: str) -> Decode:
    """Return what decodes the texts of a character set; one that is unknown is read as UTF-8.

    Args:
        charset: the server's name of it.
    """
    special = _SPECIAL.get(charset)
    if special is not None:
        return special()
    codec = codecs.lookup(_CODECS.get(charset, "utf_8"))
    return lambda raw: codec.decode(raw, "replace")[0]


# Unicode with a mark of its order


def _utf_16(raw: bytes) -> str:
    # Java takes a mark at the beginning for the order of the bytes that follow, and drops it
    if raw[:2] == codecs.BOM_UTF16_LE:
        return raw[2:].decode("utf_16_le", "replace")
    return raw.removeprefix(codecs.BOM_UTF16_BE).decode("utf_16_be", "replace")


def _utf_32(raw: bytes) -> str:
    if raw[:4] == codecs.BOM_UTF32_LE:
        return raw[4:].decode("utf_32_le", "replace")
    return raw.removeprefix(codecs.BOM_UTF32_BE).decode("utf_32_be", "replace")


# Characters of two and more bytes: what Java maps otherwise, and how it goes on behind what it
# doesn't map at all


def _bytes_of(*ranges: tuple[int, int]) -> frozenset[int]:
    return frozenset(byte for first, last in ranges for byte in range(first, last + 1))


_NONE: Mapping[bytes, str] = {}
_ASCII = (0x00, 0x7F)
_KATAKANA = (0xA1, 0xDF)
"""Half as wide as others, and of one byte, in Shift JIS."""


def _character(code: bytes, codec: str) -> str | None:
    """Return the character of a code; None where there is none."""
    try:
        return code.decode(codec)
    except UnicodeDecodeError:
        return None


def _run(first: int, characters: str) -> Mapping[bytes, str]:
    """Return the characters of two-byte codes that follow each other."""
    return {
        (first + place).to_bytes(2, "big"): character for place, character in enumerate(characters)
    }


class _Pairs:
    """A character set of one and two bytes.

    Args:
        codec: Python's, which maps nearly all that Java maps.
        leads: with which characters of two bytes begin.
        singles: which stand alone.
        others: what Java maps otherwise.
    """

    def __init__(
        self,
        codec: str,
        leads: frozenset[int],
        *,
        singles: frozenset[int] = frozenset(range(0x80)),
        others: Mapping[bytes, str] = _NONE,
    ) -> None:
        self._codec = codec
        self._leads = leads
        self._singles = singles
        self._others = others

    def __call__(self, raw: bytes) -> str:
        """Decode a text."""
        if not any(pair in raw for pair in self._others):
            try:
                return raw.decode(self._codec)
            except UnicodeDecodeError:
                pass
        return "".join(self._characters(raw))

    def _characters(self, raw: bytes) -> Iterator[str]:
        at = 0
        while at < len(raw):
            size = 2 if raw[at] in self._leads else 1
            code = raw[at : at + size]
            character = self._character(code)
            if character is None:
                character = REPLACEMENT
                # what may begin a character is looked at again
                if len(code) == 2 and code[1] in self._leads | self._singles:
                    size = 1
            yield character
            at += size

    def _character(self, code: bytes) -> str | None:
        if code in self._others:
            return self._others[code]
        if len(code) == 1 and code[0] not in self._singles:
            return None
        return _character(code, self._codec)


class _EucJp:
    """Japanese in one, two and, behind the byte 0x8f, three bytes.

    Args:
        others: what Java maps and Python maps otherwise or not.
    """

    def __init__(self, others: Mapping[bytes, str]) -> None:
        self._others = others

    def __call__(self, raw: bytes) -> str:
        """Decode a text."""
        if not any(code in raw for code in self._others):
            try:
                return raw.decode("euc_jp")
            except UnicodeDecodeError:
                pass
        return "".join(self._characters(raw))

    def _characters(self, raw: bytes) -> Iterator[str]:
        at = 0
        while at < len(raw):
            size = 1 if raw[at] < 0x80 else 3 if raw[at] == 0x8F else 2
            code = raw[at : at + size]
            yield self._others.get(code) or _character(code, "euc_jp") or REPLACEMENT
            at += size


def _gb18030(raw: bytes) -> str:
    # Java 17 follows the standard of 2005, Python the one of 2000
    return raw.decode("gb18030", "replace").translate(_GB18030_OF_2005)


def _exchanged(private: Mapping[int, int]) -> Mapping[int, int]:
    return {**private, **{character: code for code, character in private.items()}}


# the later standard gave characters the short codes of private ones, and these their long ones
_GB18030_OF_2005 = _exchanged(
    {
        0xE78D: 0xFE10,
        0xE78E: 0xFE12,
        0xE78F: 0xFE11,
        **{0xE790 + place: 0xFE13 + place for place in range(6)},
        0xE796: 0xFE19,
        0xE7C7: 0x1E3F,
        0xE81E: 0x9FB4,
        0xE826: 0x9FB5,
        0xE82B: 0x9FB6,
        0xE82C: 0x9FB7,
        0xE832: 0x9FB8,
        0xE843: 0x9FB9,
        0xE854: 0x9FBA,
        0xE864: 0x9FBB,
    }
)


def _row_13() -> Mapping[bytes, str]:
    """Return what NEC added in the 13th row: circled numbers, units; in Shift JIS a row apart."""
    found = {}
    for place in range(92):
        character = _character(bytes([0x87, 0x40 + place + (place >= 0x3F)]), "cp932")
        if character is not None:
            found[bytes([0xAD, 0xA1 + place])] = character
    return found


def _microsoft() -> Mapping[bytes, str]:
    """Return what Microsoft's way of it has besides."""
    codes = [b"\x8f\xf3" + bytes([byte]) for byte in range(0xF3, 0xFF)]
    codes += [b"\x8f\xf4" + bytes([byte]) for byte in range(0xA1, 0xFF)]
    return {**_row_13(), **dict(zip(codes, _ibms_additions(), strict=True))}


def _ibms_additions() -> Iterator[str]:
    """Return those of IBM's in Shift JIS that the standard lacks, in their order."""
    for lead in (0xFA, 0xFB, 0xFC):
        for trail in range(0x40, 0xFD):
            character = _character(bytes([lead, trail]), "cp932")
            if character is None or character in _OTHERWISE_THERE:
                continue
            is_new = not character.encode("euc_jp", "ignore")
            if is_new or character == "\N{NUMERO SIGN}":
                yield character


_OTHERWISE_THERE = {"\N{FULLWIDTH NOT SIGN}", "\N{FULLWIDTH BROKEN BAR}"}


_EUC_JP = {b"\xa1\xbd": "\u2014", b"\x8f\xa2\xb7": "\uff5e"}


def _gbk() -> Decode:
    others = {
        b"\xa8\x92": "\u2641",
        b"\xa8\xbf": "\ue7c8",
        **_run(0xA989, "".join(map(chr, range(0xE7E7, 0xE7F4)))),
        # private characters where the later standard has some; 0x7f ends nothing
        **{
            bytes([0xFE, 0x50 + place + (place > 0x2E)]): chr(0xE815 + place)
            for place in range(0x4F)
        },
    }
    return _Pairs("gb18030", _bytes_of((0x81, 0xFE)), others=others)


def _big5() -> Decode:
    others = {b"\xa1\x5a": "\uff3f", b"\xa1\xfe": "\u2571", b"\xa2\x40": "\u2572"}
    return _Pairs("big5", _bytes_of((0xA1, 0xC7), (0xC9, 0xF9)), others=others)


def _cp932() -> Decode:
    leads = _bytes_of((0x81, 0x84), (0x87, 0x9F), (0xE0, 0xEA), (0xED, 0xEE), (0xF0, 0xFC))
    return _Pairs("cp932", leads, singles=_bytes_of(_ASCII, _KATAKANA))


def _sjis() -> Decode:
    return _Pairs(
        "shift_jis",
        _bytes_of((0x81, 0x84), (0x88, 0x9F), (0xE0, 0xEA)),
        singles=_bytes_of(_ASCII, _KATAKANA),
        others={b"\x81\x5c": "\u2014"},
    )


def _euckr() -> Decode:
    leads = _bytes_of((0xA1, 0xAC), (0xB0, 0xC8), (0xCA, 0xFD))
    return _Pairs("euc_kr", leads, others={b"\xa2\xe8": "\u327e", b"\xa4\xd4": "\u3164"})


_SPECIAL: Mapping[str, Callable[[], Decode]] = {
    "big5": _big5,
    "cp932": _cp932,
    "eucjpms": lambda: _EucJp({**_EUC_JP, **_microsoft()}),
    "euckr": _euckr,
    "gb18030": lambda: _gb18030,
    "gb2312": lambda: _Pairs("gb2312", _bytes_of((0xA1, 0xA9), (0xB0, 0xF7))),
    "gbk": _gbk,
    "sjis": _sjis,
    "ucs2": lambda: _utf_16,
    "ujis": lambda: _EucJp(_EUC_JP),
    "utf16": lambda: _utf_16,
    "utf32": lambda: _utf_32,
}
