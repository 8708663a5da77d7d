"""The row that heartbeats and the fence write, where the log has no other place for them."""

import sqlalchemy as sa
from alembic import op

from cdc_sms.databases.expressions import Instant
from cdc_sms.databases.migrations.steps import create_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table of heartbeats on MySQL and MariaDB; PostgreSQL's are messages in its log."""
    if op.get_bind().dialect.name == "postgresql":
        return
    create_table(
        "cdc_sms_heartbeat",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("written_at", Instant(), nullable=False),
    )
