"""How far into a database's log: positions that print, parse and order."""

from typing import Self

from cdc_sms.errors import LogDecodeError


class Lsn(int):
    """A PostgreSQL log sequence number: a byte position in the WAL, 64 bits.

    Source: PostgreSQL manual, 8.20 pg_lsn Type.
    """

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the server's form, ``16/B374D848``.

        Raises:
            LogDecodeError: the text has another form.
        """
        high, _slash, low = text.partition("/")
        try:
            return cls((int(high, 16) << 32) | int(low, 16))
        except ValueError as error:
            raise LogDecodeError(
                f"{text!r} is no log sequence number.",
                hint="Give it as the server prints it, for example 16/B374D848.",
            ) from error

    def __str__(self) -> str:
        """Print the server's form, ``16/B374D848``."""
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"
