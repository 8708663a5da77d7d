"""What may be done about a dead letter, and why not: pure."""

from dataclasses import dataclass
from datetime import datetime

from cdc_sms.errors import ActRefused
from cdc_sms.model.acts import is_in_doubt
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.operate.letter_standing import REPLAY, Known, Letter, Standing, standing

WHERE = "'cdc-sms dlq list' shows the letters that there are."


@dataclass(frozen=True, slots=True)
class Left:
    """Why a letter is left as it is.

    Attributes:
        reason: in a word or two, for the counts.
        why: in one sentence.
        hint: what to do instead.
    """

    reason: str
    why: str
    hint: str


def why_left(letter: Letter, known: Known, *, command: str, second: bool) -> Left | None:
    """Say why an act leaves a letter as it is; None: it doesn't.

    Args:
        letter: which.
        known: what the ledger and the audit records know of it.
        command: ``dlq replay`` or ``dlq discard``.
        second: a second SMS of what was sent is wanted.
    """
    name = letter.name
    match standing(letter, known):
        case Standing.FOREIGN:
            why = f"Record {name} is no dead letter of ours: its headers say nothing."
            return Left("no dead letter of ours", why, "Look at it with 'cdc-sms dlq show'.")
        case Standing.UNKNOWN:
            why = f"The ledger doesn't know the message of letter {name}."
            return Left("unknown to the ledger", why, "'cdc-sms explain' says what its row is now.")
        case Standing.SENT:
            return Left("already sent", f"The message of letter {name} was sent since.", WHERE)
        case Standing.REPLAYED:
            return Left("already replayed", f"Letter {name} was replayed already.", WHERE)
        case Standing.DISCARDED:
            why = f"Letter {name} was discarded: it is settled for good."
            return Left("settled", why, "'cdc-sms replay --include failed' would open it again.")
        case Standing.DROPPED:
            why = f"Letter {name} was dropped: its message may have been sent."
            return Left("settled", why, "Insert a new row if a message is still wanted.")
        case Standing.SUPERSEDED:
            message = known.message
            present = f"{message.dlq_partition}:{message.dlq_offset}" if message else "another"
            why = f"Letter {name} is not its message's present one, which is {present}."
            return Left("superseded", why, f"Name {present} instead.")
        case Standing.OPEN | Standing.EDITED:
            return _why_left_open(letter, known.message, command=command, second=second)


def _why_left_open(
    letter: Letter, message: Delivery | None, *, command: str, second: bool
) -> Left | None:
    if message is None:
        return None
    if is_in_doubt(message):
        return Left(
            "in doubt",
            f"The message of letter {letter.name} may have been sent.",
            "Ask the provider, then: cdc-sms in-doubt resolve --sent, --resend or --drop.",
        )
    if letter.is_unclear and command == REPLAY and not second:
        return Left(
            "unclear",
            f"The message of letter {letter.name} was done, and its row reads pending again: a "
            "replay would be a second SMS.",
            "If that is wanted, give --second; else 'cdc-sms dlq discard' puts the row right.",
        )
    return None


def why_in_vain(
    letter: Letter,
    message: Delivery,
    row: BusinessRow | None,
    *,
    now: datetime,
    pending: str | None,
) -> Left | None:
    """Say why nothing would come of a replay as the row stands; None: it would be sent.

    Args:
        letter: which.
        message: its message.
        row: the key's row; None: gone.
        now: the database's clock.
        pending: the word of rows that are to be sent; None without a status column.
    """
    name = letter.name
    if row is None or row.message_id != message.id:
        return Left("row gone", f"The row of letter {name} is gone.", "Insert it again.")
    if pending is not None and row.word not in {pending, message.row_word, message.intended_word}:
        why = f"The row of letter {name} has a status of your own software."
        return Left("row changed", why, "Set it to pending if the message is wanted.")
    if row.expires_at is not None and row.expires_at <= now:
        why = f"The row of letter {name} expired: its time to be sent ran out."
        return Left("expired", why, "Move its expiry if the message is still wanted.")
    return None


def need_present(letter: Letter, message: Delivery) -> None:
    """Refuse what was shown as a message's present letter and, locked, isn't any more.

    Raises:
        ActRefused: it was replayed or settled meanwhile.
    """
    if not letter.is_present(message):
        raise ActRefused(
            f"Letter {letter.name} is not its message's present one: it was replayed already.",
            hint=WHERE,
        )
