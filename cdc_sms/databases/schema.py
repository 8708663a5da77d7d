"""The ledger's tables: which message is where, every request, and what all members must know.

The schema's name is filled in by the engine (``schema_translate_map``), so that these
definitions serve every installation. Times are the database's own clock, in UTC.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
    text,
)

from cdc_sms.databases.expressions import BinaryText, Instant, LongText

SCHEMA = "cdc_sms_ledger"
"""Stands for the ledger's schema in these definitions; the engine puts the configured name there.
A name of its own: what has no schema in a statement, such as the customer's types, stays so."""

metadata = MetaData(schema=SCHEMA)


delivery = Table(
    "cdc_sms_delivery",
    metadata,
    # which message it is: the row's key and created-at, see model/message.py
    Column("id", BinaryText(200), primary_key=True),
    Column("message_key", BinaryText(1000), nullable=False),
    Column("key_values", LongText, nullable=False),
    Column("row_created_at", BinaryText(100)),
    # where it is on its way
    Column("state", String(20), nullable=False),
    Column("former_state", String(20)),
    Column("done", Boolean, nullable=False, server_default=false()),
    Column("round", Integer, nullable=False, server_default=text("1")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("doubts", Integer, nullable=False, server_default=text("0")),
    Column("doubts_before", Integer, nullable=False, server_default=text("0")),
    Column("due_at", Instant(), nullable=False),
    # who may send it
    Column("claim_token", String(36)),
    Column("lease_until", Instant()),
    # a person's correction: JSON with recipient, text, sender
    Column("override", LongText),
    # what was sent and what came of it
    Column("content_digest", String(32)),
    Column("segments", Integer),
    Column("provider", String(100)),
    Column("provider_message_id", String(200)),
    Column("accepted_at", Instant()),
    Column("failure_class", String(20)),
    Column("failure_code", String(100)),
    Column("failure_text", LongText),
    Column("first_failed_at", Instant()),
    Column("last_failed_at", Instant()),
    # the dead letter: why, and the record that was acknowledged
    Column("dead_letter_class", String(20)),
    Column("dlq_partition", Integer),
    Column("dlq_offset", BigInteger),
    Column("unclear_at", Instant()),
    # the business row
    Column("row_word", LongText),
    Column("intended_word", LongText),
    Column("owes_write", Boolean, nullable=False, server_default=false()),
    Column("next_write_at", Instant()),
    Column("write_failures", Integer, nullable=False, server_default=text("0")),
    # the record it was last seen by, for people and for the keeper
    Column("record_partition", Integer),
    Column("record_offset", BigInteger),
    Column("record_key", LargeBinary),
    Column("emitted_at", Instant()),
    Column("seen_at", Instant(), nullable=False),
    Column("changed_at", Instant(), nullable=False),
)
"""One row a message. ``done``: in a final state and nothing owed to Kafka. ``due_at``: when it is
to be looked at next (claim: when lease and grace run out); what is not done and long overdue has no
record left that would bring it back, and the keeper emits it again."""

Index("cdc_sms_delivery_by_key", delivery.c.message_key)
# of a part of the rows; where a database knows no such indexes, the condition's column comes first
Index(
    "cdc_sms_delivery_open",
    delivery.c.due_at,
    postgresql_where=~delivery.c.done,
)
Index(
    "cdc_sms_delivery_owed",
    delivery.c.next_write_at,
    postgresql_where=delivery.c.owes_write,
)
Index(
    "cdc_sms_delivery_doubted",
    delivery.c.doubts,
    postgresql_where=delivery.c.doubts > 0,
)

attempt = Table(
    "cdc_sms_attempt",
    metadata,
    Column("claim_token", String(36), primary_key=True),
    Column("message_id", BinaryText(200), primary_key=True),
    Column("round", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("started_at", Instant()),
    Column("finished_at", Instant(), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("code", String(100)),
    Column("text", LongText),
    Column("provider", String(100), nullable=False),
    Column("provider_message_id", String(200)),
)
"""One row a request, keyed by the claim that allowed it."""

Index("cdc_sms_attempt_by_message", attempt.c.message_id)

control = Table(
    "cdc_sms_control",
    metadata,
    Column("name", BinaryText(200), primary_key=True),
    Column("value", LongText, nullable=False),
    Column("changed_at", Instant(), nullable=False),
)
"""What every member must know, by name; the value is JSON: see :mod:`cdc_sms.databases.control`."""

act = Table(
    "cdc_sms_act",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("act", String(50), nullable=False),
    Column("who", String(200), nullable=False),
    Column("target", BinaryText(1000)),
    Column("details", LongText, nullable=False),
    Column("outcome", LongText),
    Column("started_at", Instant(), nullable=False),
    Column("finished_at", Instant()),
)
"""What a person did: the command, who gave it, what it was about (a message id, ``dlq P:O``, or
nothing), its details and what came of it as JSON. Without an outcome it was interrupted."""

Index("cdc_sms_act_by_target", act.c.target)
Index("cdc_sms_act_by_time", act.c.started_at)
