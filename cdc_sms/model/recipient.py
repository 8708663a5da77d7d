"""Recipients: MSISDNs in E.164, which mask themselves."""

from dataclasses import dataclass

import phonenumbers

from cdc_sms.model.masking import masked_number


class InvalidRecipient(ValueError):  # noqa: N818 - a reason that a row is refused for
    """The text is no telephone number; the message says why, without the number."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient; prints masked, ``reveal`` gives the number.

    Attributes:
        e164: ``+48600100200``.
    """

    e164: str

    @classmethod
    def parse(cls, text: str, *, region: str) -> "Recipient":
        """Read a number as people write it.

        Args:
            text: any form that ``phonenumbers`` understands.
            region: ISO 3166 code of the country that a national number belongs to.

        Raises:
            InvalidRecipient: no number, or one that its country can't have.
        """
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException as error:
            raise InvalidRecipient("the recipient is no telephone number") from error
        if not phonenumbers.is_valid_number(number):
            raise InvalidRecipient("the recipient is no valid telephone number")
        return cls(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    def reveal(self) -> str:
        """Return the number itself: for the wire, never for a log."""
        return self.e164

    def __str__(self) -> str:
        """Return the masked number."""
        return masked_number(self.e164)

    def __repr__(self) -> str:
        """Return the masked number."""
        return f"Recipient({masked_number(self.e164)})"


@dataclass(frozen=True, slots=True)
class SmsText:
    """A message body; prints as its length, ``reveal`` gives the text."""

    text: str

    def reveal(self) -> str:
        """Return the text itself: for the wire, never for a log."""
        return self.text

    def __str__(self) -> str:
        """Return what may be said of it."""
        return f"<{len(self.text)} characters>"

    def __repr__(self) -> str:
        """Return what may be said of it."""
        return f"SmsText({len(self.text)} characters)"
