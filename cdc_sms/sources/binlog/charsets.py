"""Texts of MySQL's and MariaDB's character sets, decoded as Debezium decodes them.

Pure. Debezium takes the Java character set that MySQL's JDBC driver names for the server's, also
where that is another one (``dec8``, ``swe7``, ``armscii8``, ``keybcs2``, …): so do we, for a text
must not depend on who captured it. What a text means is read from the row itself before it is
sent. Bytes that are no text become U+FFFD, as in Java.

Source: MySQL Connector/J 9.1, ``CharsetMapping``; Debezium 3.5, ``charset_mappings.json``; Java
17's character sets, compared with Python's byte by byte.
"""

import codecs
from collections.abc import Callable, Mapping

Decode = Callable[[bytes], str]
"""From a text's bytes to the text; never fails."""

UTF_8 = frozenset({"utf8", "utf8mb3", "utf8mb4"})

_CODECS: Mapping[str, str] = {
    "armscii8": "cp1252",
    "ascii": "ascii",
    "big5": "big5",
    "binary": "latin_1",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "cp932": "cp932",
    "dec8": "cp1252",
    "eucjpms": "euc_jp",
    "euckr": "euc_kr",
    "gb18030": "gb18030",
    "gb2312": "gb2312",
    "gbk": "gbk",
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
    "sjis": "shift_jis",
    "swe7": "cp1252",
    "tis620": "iso8859_11",
    "ujis": "euc_jp",
    "utf16le": "utf_16_le",
    "utf8": "utf_8",
    "utf8mb3": "utf_8",
    "utf8mb4": "utf_8",
}


def decoder(charset: str) -> Decode:
    """Return what decodes the texts of a character set; one that is unknown is read as UTF-8.

    Args:
        charset: the server's name of it.
    """
    if charset in _WITH_ORDER_MARK:
        return _WITH_ORDER_MARK[charset]
    codec = codecs.lookup(_CODECS.get(charset, "utf_8"))
    return lambda raw: codec.decode(raw, "replace")[0]


def _utf_16(raw: bytes) -> str:
    # Java takes a mark at the beginning for the order of the bytes that follow, and drops it
    if raw[:2] == codecs.BOM_UTF16_LE:
        return raw[2:].decode("utf_16_le", "replace")
    return raw.removeprefix(codecs.BOM_UTF16_BE).decode("utf_16_be", "replace")


def _utf_32(raw: bytes) -> str:
    if raw[:4] == codecs.BOM_UTF32_LE:
        return raw[4:].decode("utf_32_le", "replace")
    return raw.removeprefix(codecs.BOM_UTF32_BE).decode("utf_32_be", "replace")


_WITH_ORDER_MARK: Mapping[str, Decode] = {"ucs2": _utf_16, "utf16": _utf_16, "utf32": _utf_32}
