"""What a person did, and what a person's correction and second round need."""

import sqlalchemy as sa

from cdc_sms.databases.expressions import BinaryText, Instant, LongText
from cdc_sms.databases.migrations.steps import add_column, create_index, create_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table of acts, and the columns of overrides and rounds."""
    add_column("cdc_sms_delivery", sa.Column("override", LongText))
    add_column(
        "cdc_sms_delivery",
        sa.Column("doubts_before", sa.Integer, nullable=False, server_default=sa.text("0")),
    )
    create_table(
        "cdc_sms_act",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("act", sa.String(50), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("target", BinaryText(1000)),
        sa.Column("details", LongText, nullable=False),
        sa.Column("outcome", LongText),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
    )
    create_index("cdc_sms_act_by_target", "cdc_sms_act", "target")
    create_index("cdc_sms_act_by_time", "cdc_sms_act", "started_at")
