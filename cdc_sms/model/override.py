"""An operator's correction of one message: what is sent in the place of what the row says."""

from dataclasses import dataclass, replace

import orjson

from cdc_sms.model.business_row import BusinessRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A correction; None leaves the row's own value.

    Attributes:
        recipient: another number.
        text: another text.
        sender: another sender.
    """

    recipient: str | None = None
    text: str | None = None
    sender: str | None = None

    @property
    def changed(self) -> list[str]:
        """Return what it corrects, by name: for people, without the values."""
        named = {"recipient": self.recipient, "text": self.text, "sender": self.sender}
        return [name for name, value in named.items() if value is not None]

    def as_text(self) -> str:
        """Return what the ledger keeps."""
        named = {"recipient": self.recipient, "text": self.text, "sender": self.sender}
        return orjson.dumps({k: v for k, v in named.items() if v is not None}).decode()

    @classmethod
    def from_text(cls, text: str | None) -> "Override":
        """Read what :meth:`as_text` wrote; nothing corrected where there is none."""
        return cls() if text is None else cls(**orjson.loads(text))

    def over(self, later: "Override") -> "Override":
        """Return both corrections as one; the later one wins."""
        return Override(
            recipient=later.recipient or self.recipient,
            text=later.text or self.text,
            sender=later.sender or self.sender,
        )

    def corrected(self, row: BusinessRow) -> BusinessRow:
        """Return the row as it is to be sent; its digest stays that of the row itself.

        The digest tells whether the row that is written afterwards is the one that was read.
        """
        return replace(
            row,
            recipient=self.recipient or row.recipient,
            text=self.text or row.text,
            sender=self.sender or row.sender,
        )
