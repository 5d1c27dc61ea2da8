# SPDX-License-Identifier: Apache-2.0
"""What fleets keep: units and their leases, campaigns, jobs, the journal, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "fleet_unit",
        sa.Column("serial", sa.String(128), primary_key=True),
        sa.Column("fleet", sa.String(64), nullable=False),
        sa.Column("group_name", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), unique=True, nullable=False),
        sa.Column("board", sa.String(32), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=True),
        sa.Column("instance_id", sa.LargeBinary(33), unique=True, nullable=True),
        sa.Column("appliance", sa.String(64), nullable=True),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("policy", sa.LargeBinary(32), nullable=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(255), nullable=True),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "fleet_bundle",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "fleet_campaign",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("fleet", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=True),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "fleet_job",
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(128), primary_key=True),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=True),
        sa.Column("result", sa.Text, nullable=True),
    )
    op.create_index("fleet_job_by_state", "fleet_job", ["state", "campaign"])
    op.create_table(
        "fleet_journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("campaign", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(128), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("fleet_journal_of_unit", "fleet_journal", ["serial", "id"])
    op.create_index("fleet_journal_of_campaign", "fleet_journal", ["campaign", "id"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=True),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("audit_of_subject", "audit", ["subject", "id"])


def downgrade() -> None:
    for table in (
        "audit",
        "fleet_journal",
        "fleet_job",
        "fleet_campaign",
        "fleet_bundle",
        "fleet_unit",
    ):
        op.drop_table(table)
