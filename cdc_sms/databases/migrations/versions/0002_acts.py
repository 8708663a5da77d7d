"""What a person did, and what a person's correction and second round need."""

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"


def _binary_text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table of acts, and the columns of overrides and rounds."""
    schema = context.config.attributes["schema"]
    op.add_column("cdc_sms_delivery", sa.Column("override", sa.Text), schema=schema)
    op.add_column(
        "cdc_sms_delivery",
        sa.Column("doubts_before", sa.Integer, nullable=False, server_default=sa.text("0")),
        schema=schema,
    )
    op.create_table(
        "cdc_sms_act",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("act", sa.String(50), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("target", _binary_text(1000)),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("started_at", _instant(), nullable=False),
        sa.Column("finished_at", _instant()),
        schema=schema,
    )
    op.create_index("cdc_sms_act_by_target", "cdc_sms_act", ["target"], schema=schema)
    op.create_index("cdc_sms_act_by_time", "cdc_sms_act", ["started_at"], schema=schema)
