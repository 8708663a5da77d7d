"""What a person's acts make of a message: pure, and refused where they could send twice unasked.

==================  ==================================  ===========================================
act                 of a message that is                becomes
==================  ==================================  ===========================================
resolve ``sent``    in doubt                            ``sent``
resolve ``resend``  in doubt                            ``pending``, in a new round
resolve ``drop``    in doubt                            ``failed``, its dead letter settled
replay              failed (not in doubt), expired,     ``pending``, in a new round
                    cancelled
replay as second    sent                                ``pending``, in a new round
discard             failed (not in doubt)               ``failed``, its dead letter settled
discard             done, but its row reads pending     the same; the row's word is put right
edit                failed (not in doubt)               the same, with a correction
==================  ==================================  ===========================================

A round's attempts and doubts are its own; what was in doubt before stays counted.
"""

from dataclasses import replace
from datetime import datetime

from cdc_sms.errors import ActRefused
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.override import Override
from cdc_sms.model.state import State

DROPPED = "dropped"
DISCARDED = "discarded"


def is_in_doubt(message: Delivery) -> bool:
    """Say whether it may have been sent, and nobody has it in hand."""
    return message.state is State.IN_DOUBT or message.awaits_person


def resolved_as_sent(message: Delivery, *, now: datetime) -> Delivery:
    """Take a message in doubt for sent: the provider says that it has it.

    Raises:
        ActRefused: it isn't in doubt.
    """
    _need_doubt(message)
    return _owing_its_word(
        replace(
            message,
            state=State.SENT,
            accepted_at=message.accepted_at or now,
            dead_letter_class=None,
            due_at=now,
            changed_at=now,
        ),
        now,
    )


def resolved_by_resend(message: Delivery, *, now: datetime) -> Delivery:
    """Open a new round of a message in doubt: it may arrive twice, and a person wants it so.

    Raises:
        ActRefused: it isn't in doubt.
    """
    _need_doubt(message)
    return _new_round(message, now)


def resolved_by_drop(message: Delivery, *, now: datetime) -> Delivery:
    """Give a message in doubt up for good.

    Raises:
        ActRefused: it isn't in doubt.
    """
    _need_doubt(message)
    text = message.failure_text or "it may have been sent"
    return _owing_its_word(
        replace(
            message,
            state=State.FAILED,
            dead_letter_class=None,
            failure_code=DROPPED,
            failure_text=text,
            due_at=now,
            changed_at=now,
        ),
        now,
    )


def replayed(message: Delivery, *, now: datetime, as_second: bool = False) -> Delivery:
    """Open a new round of a message that ended without being sent.

    Args:
        message: locked, as it stands.
        now: the database's clock.
        as_second: also of one that was sent: a second SMS, which a person wants.

    Raises:
        ActRefused: it is under way, in doubt, or was sent.
    """
    if is_in_doubt(message):
        raise ActRefused(
            f"Message {message.id} may have been sent: a replay could send it twice.",
            hint="Ask the provider, then: cdc-sms in-doubt resolve --sent, --resend or --drop.",
        )
    if message.state is State.SENT and not as_second:
        raise ActRefused(
            f"Message {message.id} was sent.",
            hint="If a second SMS is wanted: cdc-sms dlq replay --second.",
        )
    if not message.state.is_final:
        raise ActRefused(
            f"Message {message.id} is {message.state}: it is under way.",
            hint="See 'cdc-sms explain' for what it waits for.",
        )
    return _new_round(message, now)


def discarded(message: Delivery, *, now: datetime) -> Delivery:
    """Settle a dead letter for good; of one that was done, the row's word is put right.

    Raises:
        ActRefused: it is in doubt, or no dead letter stands.
    """
    if is_in_doubt(message):
        raise ActRefused(
            f"Message {message.id} may have been sent: discarding it would hide that.",
            hint="Settle it with cdc-sms in-doubt resolve --sent, --resend or --drop.",
        )
    if message.unclear_at is not None:
        return _owing_its_word(replace(message, unclear_at=None, changed_at=now), now)
    _need_dead_letter(message)
    return replace(message, dead_letter_class=None, changed_at=now)


def edited(message: Delivery, override: Override, *, now: datetime) -> Delivery:
    """Correct a dead letter: its next round sends the correction; the row stays as it is.

    Raises:
        ActRefused: it is in doubt, or no dead letter.
    """
    if is_in_doubt(message):
        raise ActRefused(
            f"Message {message.id} may have been sent: it can't be changed any more.",
            hint="Settle it with cdc-sms in-doubt resolve --sent, --resend or --drop.",
        )
    _need_dead_letter(message)
    corrected = Override.from_text(message.override).over(override)
    return replace(message, override=corrected.as_text(), changed_at=now)


def _need_doubt(message: Delivery) -> None:
    if not is_in_doubt(message):
        raise ActRefused(
            f"Message {message.id} is {message.state}, not in doubt.",
            hint="'cdc-sms in-doubt list' shows those that are.",
        )


def _need_dead_letter(message: Delivery) -> None:
    if message.state is not State.FAILED or message.dead_letter_class is None:
        raise ActRefused(
            f"Message {message.id} is {message.state}: it has no dead letter that stands.",
            hint="'cdc-sms dlq list' shows those that have.",
        )


def _new_round(message: Delivery, now: datetime) -> Delivery:
    return replace(
        message,
        state=State.PENDING,
        former_state=None,
        round=message.round + 1,
        attempts=0,
        doubts_before=message.doubts,
        claim_token=None,
        lease_until=None,
        dead_letter_class=None,
        dlq_partition=None,
        dlq_offset=None,
        unclear_at=None,
        first_failed_at=None,
        # a row that owes its former word would be written over by this round's
        owes_write=False,
        next_write_at=None,
        emitted_at=None,
        due_at=now,
        changed_at=now,
    )


def _owing_its_word(message: Delivery, now: datetime) -> Delivery:
    return replace(message, owes_write=True, next_write_at=now, write_failures=0)
