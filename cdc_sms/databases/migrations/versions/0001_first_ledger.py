"""The first ledger: deliveries, attempts, control."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None


def _binary_text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the three tables and their indexes."""
    schema = context.config.attributes["schema"]
    op.create_table(
        "cdc_sms_delivery",
        sa.Column("id", _binary_text(200), primary_key=True),
        sa.Column("message_key", _binary_text(1000), nullable=False),
        sa.Column("key_values", sa.Text, nullable=False),
        sa.Column("row_created_at", _binary_text(100)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("former_state", sa.String(20)),
        sa.Column("done", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("round", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("doubts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", _instant(), nullable=False),
        sa.Column("claim_token", sa.String(36)),
        sa.Column("lease_until", _instant()),
        sa.Column("content_digest", sa.String(32)),
        sa.Column("segments", sa.Integer),
        sa.Column("provider", sa.String(100)),
        sa.Column("provider_message_id", sa.String(200)),
        sa.Column("accepted_at", _instant()),
        sa.Column("failure_class", sa.String(20)),
        sa.Column("failure_code", sa.String(100)),
        sa.Column("failure_text", sa.Text),
        sa.Column("first_failed_at", _instant()),
        sa.Column("last_failed_at", _instant()),
        sa.Column("dead_letter_class", sa.String(20)),
        sa.Column("dlq_partition", sa.Integer),
        sa.Column("dlq_offset", sa.BigInteger),
        sa.Column("unclear_at", _instant()),
        sa.Column("row_word", sa.Text),
        sa.Column("intended_word", sa.Text),
        sa.Column("owes_write", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("next_write_at", _instant()),
        sa.Column("write_failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("record_partition", sa.Integer),
        sa.Column("record_offset", sa.BigInteger),
        sa.Column("record_key", sa.LargeBinary),
        sa.Column("emitted_at", _instant()),
        sa.Column("seen_at", _instant(), nullable=False),
        sa.Column("changed_at", _instant(), nullable=False),
        schema=schema,
    )
    op.create_index("cdc_sms_delivery_by_key", "cdc_sms_delivery", ["message_key"], schema=schema)
    op.create_index(
        "cdc_sms_delivery_open",
        "cdc_sms_delivery",
        ["due_at"],
        schema=schema,
        postgresql_where=sa.text("NOT done"),
    )
    op.create_index(
        "cdc_sms_delivery_owed",
        "cdc_sms_delivery",
        ["next_write_at"],
        schema=schema,
        postgresql_where=sa.text("owes_write"),
    )
    op.create_index(
        "cdc_sms_delivery_doubted",
        "cdc_sms_delivery",
        ["doubts"],
        schema=schema,
        postgresql_where=sa.text("doubts > 0"),
    )
    op.create_table(
        "cdc_sms_attempt",
        sa.Column("claim_token", sa.String(36), primary_key=True),
        sa.Column("message_id", _binary_text(200), primary_key=True),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("started_at", _instant()),
        sa.Column("finished_at", _instant(), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("code", sa.String(100)),
        sa.Column("text", sa.Text),
        sa.Column("provider", sa.String(100), nullable=False),
        sa.Column("provider_message_id", sa.String(200)),
        schema=schema,
    )
    op.create_index("cdc_sms_attempt_by_message", "cdc_sms_attempt", ["message_id"], schema=schema)
    op.create_table(
        "cdc_sms_control",
        sa.Column("name", _binary_text(200), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("changed_at", _instant(), nullable=False),
        schema=schema,
    )
