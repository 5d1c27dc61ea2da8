# SPDX-License-Identifier: Apache-2.0
"""What `coffret serve` keeps: standings, reference values, flow policies, access keys, notices."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("attestation", sa.Column("result", sa.Text, nullable=True))
    op.add_column("attestation", sa.Column("reporter", sa.String(64), nullable=True))
    op.add_column("nonce", sa.Column("attestation", sa.BigInteger, nullable=True))
    op.create_index("nonce_by_expiry", "nonce", ["expires"])
    op.create_table(
        "standing",
        sa.Column("instance_id", sa.LargeBinary(33), primary_key=True),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("reported", sa.BigInteger, nullable=False),
        sa.Column("attestation", sa.BigInteger, nullable=False),
        sa.Column("appliance", sa.String(64), nullable=True),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("reporter", sa.String(64), nullable=True),
    )
    op.create_index("standing_by_verdict", "standing", ["verdict", "since"])
    op.create_index("standing_by_report", "standing", ["reported"])
    op.create_table(
        "corim",
        sa.Column("id", sa.String(512), primary_key=True),
        sa.Column("implementation_id", sa.LargeBinary(32), nullable=False),
        sa.Column("board", sa.String(64), nullable=False),
        sa.Column("appliance", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("policy_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("added_by", sa.String(64), nullable=False),
    )
    op.create_table(
        "flow_policy",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "access_key",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), unique=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rights", sa.String(128), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("instance_id", sa.LargeBinary(33), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("before", sa.String(16), nullable=True),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=True),
        sa.Column("delivered", sa.BigInteger, nullable=True),
    )
    op.create_index("notice_by_due", "notice", ["due"])
    op.create_index("notice_of_device", "notice", ["instance_id", "id"])


def downgrade() -> None:
    for table in ("notice", "access_key", "flow_policy", "corim", "standing"):
        op.drop_table(table)
    op.drop_index("nonce_by_expiry", "nonce")
    for table, column in (
        ("nonce", "attestation"),
        ("attestation", "reporter"),
        ("attestation", "result"),
    ):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
