"""How many SMS a text becomes: GSM-7 or UCS-2, septets and code units, and who is guilty.

A text whose every character is in the GSM 7-bit default alphabet or its extension table costs
one septet a character (two for an extended one): 160 in a single SMS, 153 in each of several.
Any other character makes the whole text UCS-2: 70 code units in a single SMS, 67 in each of
several. No national shift table is assumed: Polish letters make a text UCS-2.

Source: 3GPP TS 23.038, 6.2.1 (alphabet, extension table); 3GPP TS 23.040, 9.2.3.24.1
(concatenation: 6 octets of header in each segment).
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

GSM7_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet without its escape character: one septet each."""

GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
"""The extension table: an escape and a septet, two in all."""

_GSM7 = GSM7_BASIC | GSM7_EXTENSION


class Encoding(StrEnum):
    """How a text travels over the air."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs.

    Attributes:
        encoding: of the whole text.
        units: septets for GSM-7, 16-bit code units for UCS-2.
        count: segments; an empty text is one.
        guilty: the first character that GSM-7 can't hold, None where it holds all.
    """

    encoding: Encoding
    units: int
    count: int
    guilty: str | None


def count_segments(text: str) -> Segments:
    """Count the segments that the text becomes; linear in its length."""
    if GSM7_BASIC.issuperset(text):
        return Segments(Encoding.GSM7, len(text), _of_single_units(len(text), 160, 153), None)
    if _GSM7.issuperset(text):
        widths = [2 if character in GSM7_EXTENSION else 1 for character in text]
        return Segments(Encoding.GSM7, sum(widths), _filled(widths, 160, 153), None)
    guilty = next(character for character in text if character not in _GSM7)
    if text.isascii() or max(text) <= "\uffff":
        return Segments(Encoding.UCS2, len(text), _of_single_units(len(text), 70, 67), guilty)
    widths = [2 if character > "\uffff" else 1 for character in text]
    return Segments(Encoding.UCS2, sum(widths), _filled(widths, 70, 67), guilty)


def character_name(character: str) -> str:
    """Return what may be said of one character: code point and Unicode name, not itself."""
    name = unicodedata.name(character, "a character without a name")
    return f"U+{ord(character):04X} {name}"


def _of_single_units(units: int, alone: int, each: int) -> int:
    return 1 if units <= alone else -(-units // each)


def _filled(widths: Iterable[int], alone: int, each: int) -> int:
    """Fill segment by segment: an escape or surrogate pair is never torn over two of them."""
    widths = list(widths)
    if sum(widths) <= alone:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > each:
            count, used = count + 1, 0
        used += width
    return count
