"""What became of an installation's messages: from the simulator, the table, ledger and topics."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import LiteralString

from support.flow import Flow

from cdc_sms.kafka.headers import MESSAGE_ID

OF_KEY: LiteralString = "concat('sms/', s.id, '@')"
"""A row's message id, where the key alone is the id."""

OURS: LiteralString = "('pending', 'sending', 'sent', 'failed')"
"""The words that we read and write; any other is the business's own."""


@dataclass(frozen=True)
class Counts:
    """The figures of one case; ``+`` adds those of two installations."""

    rows: int = 0
    sent: int = 0
    in_doubt: int = 0
    doubled: int = 0
    doubled_beyond_doubt: int = 0
    lost: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Add each figure."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Counts(*(mine + theirs for mine, theirs in pairs))


@dataclass
class Installation:
    """A flow, and what has to be known to count it.

    Attributes:
        message_id: SQL for the message id of a row ``s``.
        copies: how many messages the application gave a text, where it is more than one.
        rows: SQL for the rows ``s`` that are the flow's to send.
    """

    flow: Flow
    message_id: LiteralString
    copies: Counter[str] = field(default_factory=Counter[str])
    rows: LiteralString = "SELECT * FROM sms"

    def count(self) -> Counts:
        """Count; the flow is at rest, or never will be."""
        accepted = Counter(message.text for message in self.flow.provider.accepted())
        beyond = {
            text: count - max(self.copies[text], 1)
            for text, count in accepted.items()
            if count > max(self.copies[text], 1)
        }
        doubted = self._doubted_texts()
        ledger = self.flow.ledger
        return Counts(
            rows=ledger(f"SELECT count(*) FROM ({self.rows}) s"),
            sent=ledger("SELECT count(*) FROM cdc_sms_delivery WHERE state = 'sent'"),
            in_doubt=ledger(
                "SELECT count(*) FROM cdc_sms_delivery WHERE doubts + doubts_before > 0"
            ),
            doubled=sum(beyond.values()),
            doubled_beyond_doubt=sum(n for text, n in beyond.items() if text not in doubted),
            lost=len(self.lost(accepted)),
        )

    def lost(self, accepted: Mapping[str, int]) -> list[str]:
        """Return the texts of rows with neither an acceptance nor a final state."""
        rows = self.flow.database.execute(
            f"SELECT s.body FROM ({self.rows}) s LEFT JOIN cdc_sms_delivery d"
            f" ON d.id = {self.message_id}"
            " WHERE (d.id IS NULL OR d.state NOT IN ('sent', 'failed', 'expired', 'cancelled'))"
            f" AND s.status IN {OURS}"
        )
        return [body for (body,) in rows if not accepted.get(body)]

    def why_not_at_rest(self) -> str | None:
        """Say what is still under way, or None: rows, messages, write-backs, offsets."""
        open_rows = self.flow.database.execute(
            f"SELECT count(*) FROM ({self.rows}) s LEFT JOIN cdc_sms_delivery d"
            f" ON d.id = {self.message_id} WHERE d.id IS NULL AND s.status IN {OURS}"
        )[0][0]
        if open_rows:
            return f"{open_rows} rows without a message"
        states = self.flow.database.execute(
            "SELECT state, count(*) FROM cdc_sms_delivery WHERE NOT done GROUP BY 1"
        )
        if states:
            return f"open messages: {dict(states)}"
        owed = self.flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE owes_write")
        if owed:
            return f"{owed} owed write-backs"
        lag = self.flow.lag()
        return f"{lag} records not committed" if lag else None

    def letters_missing(self) -> list[str]:
        """Return the given-up messages without a record on the dead-letter topic."""
        given_up = self.flow.database.execute(
            "SELECT id FROM cdc_sms_delivery WHERE state = 'failed' AND done"
        )
        return sorted({name for (name,) in given_up} - self._lettered())

    def _lettered(self) -> set[str]:
        return {
            value.decode()
            for record in self.flow.records("dlq")
            for name, value in record.headers() or ()
            if name == MESSAGE_ID
        }

    def _doubted_texts(self) -> set[str]:
        """Return the texts of messages that were ever in doubt, gone rows' among them."""
        doubted = "SELECT id FROM cdc_sms_delivery WHERE doubts + doubts_before > 0"
        rows: Iterable[tuple[str]] = self.flow.database.execute(
            f"SELECT s.body FROM sms s WHERE {self.message_id} IN ({doubted})"
        )
        ids = self.flow.database.execute(
            f"SELECT provider_message_id FROM cdc_sms_attempt WHERE message_id IN ({doubted})"
        )
        theirs = {str(name) for (name,) in ids}
        return {body for (body,) in rows} | {
            message.text for message in self.flow.provider.accepted() if str(message.id) in theirs
        }
