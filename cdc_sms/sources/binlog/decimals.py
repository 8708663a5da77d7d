"""DECIMAL as the log packs it becomes its text, with all digits of its scale.

Pure. Groups of nine digits take four bytes each, big-endian; the digits left over in front of the
whole part and behind the fraction take what they need. The first bit is set in numbers that are
not negative; of negative ones every bit is turned over.

Source: MySQL source documentation, ``decimal2bin`` in ``strings/decimal.cc``.
"""

from collections.abc import Callable, Sequence

_GROUP = 9
_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""How many bytes so many digits take."""


def packed_size(precision: int, scale: int) -> int:
    """Return how many bytes a number of this precision and scale takes."""
    return sum(_bytes_of(digits) for digits in (precision - scale, scale))


def decimal_text(raw: bytes, *, precision: int, scale: int) -> str:
    """Return one number's text; for a column make its :func:`decimal_reader` once."""
    return decimal_reader(precision, scale)(raw)


def decimal_reader(precision: int, scale: int) -> Callable[[bytes], str]:
    """Return what turns packed numbers of one precision and scale into their text."""
    size = packed_size(precision, scale)
    groups = _groups(precision - scale, scale)
    sign_bit, all_bits = 1 << (size * 8 - 1), (1 << (size * 8)) - 1
    one = 10**scale

    def read(raw: bytes) -> str:
        packed = int.from_bytes(raw, "big")
        sign = ""
        if packed & sign_bit:
            packed ^= sign_bit
        else:
            packed ^= all_bits ^ sign_bit
            sign = "-"
        digits = 0
        for shift, mask, weight in groups:
            digits += (packed >> shift & mask) * weight
        if not scale:
            return f"{sign if digits else ''}{digits}"
        whole, fraction = divmod(digits, one)
        return f"{sign if digits else ''}{whole}.{fraction:0{scale}}"

    return read


def _bytes_of(digits: int) -> int:
    groups, rest = divmod(digits, _GROUP)
    return groups * 4 + _BYTES[rest]


def _groups(whole_digits: int, fraction_digits: int) -> Sequence[tuple[int, int, int]]:
    """Return each group's place from the right, its mask, and what its lowest digit is worth."""
    whole_groups, first = divmod(whole_digits, _GROUP)
    fraction_groups, last = divmod(fraction_digits, _GROUP)
    widths = [first, *[_GROUP] * (whole_groups + fraction_groups), last]
    behind = sum(widths)
    shift = 8 * (packed_size(whole_digits + fraction_digits, fraction_digits))
    groups = []
    for digits in widths:
        shift -= 8 * _BYTES[digits]
        behind -= digits
        if digits:
            groups.append((shift, (1 << 8 * _BYTES[digits]) - 1, 10**behind))
    return tuple(groups)
