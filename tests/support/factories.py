"""Rows, messages, records and settings with sensible defaults."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cdc_sms.config.settings import DeliverSettings, StatusSettings
from cdc_sms.deliver.decide import Claim, Rules
from cdc_sms.deliver.gate import Gate
from cdc_sms.deliver.intake import Look
from cdc_sms.kafka.offsets import Place
from cdc_sms.kafka.record import Record
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.message import content_digest
from cdc_sms.model.state import State

NOW = datetime(2026, 11, 24, 5, 47, 11, tzinfo=UTC)
STATUS = StatusSettings(sending="sending")
SETTINGS = DeliverSettings(lease_s=90, lease_grace_s=30, doubt_pause_s=60)
TOKEN = "token-of-now"

_offsets = itertools.count()


def record(**changes: Any) -> Record:
    """Return a record of an insert."""
    fields: dict[str, Any] = {
        "topic": "t.outbox",
        "partition": 0,
        "offset": next(_offsets),
        "leader_epoch": None,
        "timestamp_ms": int(NOW.timestamp() * 1000),
        "key": b'{"id":1}',
        "value": b"{}",
        "headers": (),
    }
    return Record(**{**fields, **changes})


def look(**changes: Any) -> Look:
    """Return a look at key 1 of table ``sms``."""
    one = changes.pop("record", None) or record()
    fields: dict[str, Any] = {
        "record": one,
        "place": Place(one.partition, one.offset, 1),
        "key": (1,),
        "key_text": "sms/1",
        "transaction_id": None,
    }
    return Look(**{**fields, **changes})


def row(**changes: Any) -> BusinessRow:
    """Return row 1 as an application inserted it."""
    fields: dict[str, Any] = {
        "key": (1,),
        "key_text": "sms/1",
        "message_id": "sms/1@a",
        "created_at": "a",
        "created_instant": None,
        "word": STATUS.pending,
        "recipient": "+48600100200",
        "text": "Your parcel arrives today",
        "sender": None,
        "send_after": None,
        "expires_at": None,
    }
    fields |= changes
    digest = content_digest(fields["recipient"], fields["text"], fields["sender"])
    return BusinessRow(**{"digest": digest, **fields})


def message(state: State = State.PENDING, **changes: Any) -> Delivery:
    """Return row 1's message in a state."""
    plain = Delivery(
        id="sms/1@a",
        message_key="sms/1",
        key_values='["1"]',
        row_created_at="a",
        state=state,
        due_at=NOW,
        seen_at=NOW,
        changed_at=NOW,
    )
    if state is State.SENDING:
        lease = NOW + timedelta(seconds=SETTINGS.lease_s)
        plain = replace(plain, claim_token="another", lease_until=lease, row_word="sending")
    return replace(plain, **changes)


def gate(**changes: Any) -> Gate:
    """Return a gate that lets everything through."""
    plain = Gate(
        holds=[],
        memory=None,
        account="account:justsend",
        probing=False,
        now=NOW,
        oldest=timedelta(days=1),
    )
    return replace(plain, **changes)


def hold(kind: HoldKind = HoldKind.MANUAL, **changes: Any) -> Hold:
    """Return a hold that lets nothing through."""
    return replace(Hold(name=kind.value, kind=kind, reason="because", since=NOW), **changes)


def rules(**changes: Any) -> Rules:
    """Return the rules of a member whose flow is free."""
    plain = Rules(status=STATUS, settings=SETTINGS, token=TOKEN, lease_until_s=1e9, gate=gate())
    return replace(plain, **changes)


def claim(**changes: Any) -> Claim:
    """Return a claim of row 1's message."""
    fields: dict[str, Any] = {
        "look": look(),
        "message": message(
            State.SENDING,
            claim_token=TOKEN,
            former_state=State.PENDING,
            content_digest=row().digest,
        ),
        "row": row(),
        "token": TOKEN,
        "lease_until_s": 1e9,
    }
    return Claim(**{**fields, **changes})
