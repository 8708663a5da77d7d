"""The first ledger: deliveries, attempts, control."""

import sqlalchemy as sa

from cdc_sms.databases.expressions import BinaryText, Instant, LongText
from cdc_sms.databases.migrations.steps import create_index, create_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the three tables and their indexes."""
    create_table(
        "cdc_sms_delivery",
        sa.Column("id", BinaryText(200), primary_key=True),
        sa.Column("message_key", BinaryText(1000), nullable=False),
        sa.Column("key_values", LongText, nullable=False),
        sa.Column("row_created_at", BinaryText(100)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("former_state", sa.String(20)),
        sa.Column("done", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("round", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("doubts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("claim_token", sa.String(36)),
        sa.Column("lease_until", Instant()),
        sa.Column("content_digest", sa.String(32)),
        sa.Column("segments", sa.Integer),
        sa.Column("provider", sa.String(100)),
        sa.Column("provider_message_id", sa.String(200)),
        sa.Column("accepted_at", Instant()),
        sa.Column("failure_class", sa.String(20)),
        sa.Column("failure_code", sa.String(100)),
        sa.Column("failure_text", LongText),
        sa.Column("first_failed_at", Instant()),
        sa.Column("last_failed_at", Instant()),
        sa.Column("dead_letter_class", sa.String(20)),
        sa.Column("dlq_partition", sa.Integer),
        sa.Column("dlq_offset", sa.BigInteger),
        sa.Column("unclear_at", Instant()),
        sa.Column("row_word", LongText),
        sa.Column("intended_word", LongText),
        sa.Column("owes_write", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("next_write_at", Instant()),
        sa.Column("write_failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("record_partition", sa.Integer),
        sa.Column("record_offset", sa.BigInteger),
        sa.Column("record_key", sa.LargeBinary),
        sa.Column("emitted_at", Instant()),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
    )
    create_index("cdc_sms_delivery_by_key", "cdc_sms_delivery", "message_key")
    create_index(
        "cdc_sms_delivery_open", "cdc_sms_delivery", "due_at", where="NOT done", after="done"
    )
    create_index(
        "cdc_sms_delivery_owed",
        "cdc_sms_delivery",
        "next_write_at",
        where="owes_write",
        after="owes_write",
    )
    create_index("cdc_sms_delivery_doubted", "cdc_sms_delivery", "doubts", where="doubts > 0")
    create_table(
        "cdc_sms_attempt",
        sa.Column("claim_token", sa.String(36), primary_key=True),
        sa.Column("message_id", BinaryText(200), primary_key=True),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("started_at", Instant()),
        sa.Column("finished_at", Instant(), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("code", sa.String(100)),
        sa.Column("text", LongText),
        sa.Column("provider", sa.String(100), nullable=False),
        sa.Column("provider_message_id", sa.String(200)),
    )
    create_index("cdc_sms_attempt_by_message", "cdc_sms_attempt", "message_id")
    create_table(
        "cdc_sms_control",
        sa.Column("name", BinaryText(200), primary_key=True),
        sa.Column("value", LongText, nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
    )
