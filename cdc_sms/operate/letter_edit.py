"""``dlq edit``: a person corrects a dead letter, and its next replay sends the correction."""

from datetime import datetime

from sqlalchemy import Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.reading import read_only
from cdc_sms.errors import ActRefused
from cdc_sms.model.acts import edited
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.override import Override
from cdc_sms.model.recipient import InvalidRecipient, Recipient
from cdc_sms.model.segments import character_name, count_segments
from cdc_sms.operate.acting import Acting, Step
from cdc_sms.operate.dead_letters import letter_record
from cdc_sms.operate.letter_rules import need_present, why_left
from cdc_sms.operate.letter_standing import EDIT, Letter, look_up

_LONGEST_SENDER = 16


def correction(
    sections: Sections, *, recipient: str | None, text: str | None, sender: str | None
) -> Override:
    """Return a correction that can be sent.

    Args:
        sections: the configuration.
        recipient: in any usual form; None leaves the row's own.
        text: the same.
        sender: the same.

    Raises:
        ActRefused: it is nonsense, or nothing is corrected at all.
    """
    if (recipient, text, sender) == (None, None, None):
        raise ActRefused(
            "Nothing is to be corrected.", hint="Give --recipient, --text, --text-file or --sender."
        )
    if text is not None:
        _need_text(text, _max_segments(sections))
    if sender is not None and not _is_sender(sender):
        raise ActRefused(
            f"The sender is empty, or no name of up to {_LONGEST_SENDER} printable characters.",
            hint="Give a sender that the provider knows.",
        )
    return Override(
        recipient=None if recipient is None else _number(recipient, sections.deliver.region),
        text=text,
        sender=sender,
    )


def _number(recipient: str, region: str) -> str:
    try:
        return Recipient.parse(recipient, region=region).reveal()
    except InvalidRecipient as error:
        raise ActRefused(
            f"It can't be sent: {error}.", hint="Give it with its country, such as +48…"
        ) from error


def _need_text(text: str, most: int) -> None:
    if not text.strip():
        raise ActRefused("The text is empty.", hint="Give the text as it is to be sent.")
    segments = count_segments(text)
    if segments.count > most:
        because = f", because of {character_name(segments.guilty)}" if segments.guilty else ""
        raise ActRefused(
            f"The text needs {segments.count} segments of {segments.encoding}{because}; "
            f"max_segments allows {most}.",
            hint="Shorten it, or raise max_segments of the provider.",
        )


def _max_segments(sections: Sections) -> int:
    return min(sections.providers[name].max_segments for name in sections.deliver.providers)


def _is_sender(sender: str) -> bool:
    return bool(sender.strip()) and sender.isprintable() and len(sender) <= _LONGEST_SENDER


def edit_letter(
    engine: Engine, sections: Sections, place: tuple[int, int], override: Override, *, wait_s: float
) -> Delivery:
    """Correct a dead letter: its next replay sends the correction; row and letter stay as they are.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        place: partition and offset.
        override: from :func:`correction`.
        wait_s: how long a broker may take to answer; seconds.

    Raises:
        ActRefused: there is none, or it can't be corrected as things stand.
        DatabaseUnavailable: give it again.
        BrokerUnavailable: no broker answers.
    """
    letter = Letter.of(letter_record(sections, place, wait_s=wait_s))
    [known] = read_only(engine, lambda connection: look_up(connection, [letter]))
    left = why_left(letter, known, command=EDIT, second=False)
    if left is not None:
        raise ActRefused(left.why, hint=left.hint)
    if letter.message_id is None:
        raise ActRefused(
            f"Nothing could be read in letter {letter.name}: there is no message to correct.",
            hint="Put right what 'cdc-sms dlq show' names, then 'cdc-sms dlq replay'.",
        )

    def change(message: Delivery, now: datetime) -> Delivery:
        need_present(letter, message)
        return edited(message, override, now=now)

    details = {"letter": letter.name, "changed": override.changed}
    return Acting(engine).one(
        EDIT, Step(message_id=letter.message_id, change=change, details=details)
    )
