# SPDX-License-Identifier: Apache-2.0
"""Devices, their attestations, nonces: as releases before alembic made them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "device",
        sa.Column("instance_id", sa.LargeBinary(33), primary_key=True),
        sa.Column("name", sa.String(64), unique=True, nullable=False),
        sa.Column("board", sa.String(32), nullable=False),
        sa.Column("identity_key", sa.LargeBinary(64), nullable=False),
        sa.Column("implementation_id", sa.LargeBinary(32), nullable=False),
        sa.Column("boot_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("endorsement", sa.LargeBinary(1024), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "attestation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("instance_id", sa.LargeBinary(33), nullable=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("claims", sa.Text, nullable=False),
        sa.Column("nonce", sa.LargeBinary(64), nullable=False),
        sa.Column("evidence", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "attestation_of_device", "attestation", ["instance_id", "id"], if_not_exists=True
    )
    op.create_table(
        "nonce",
        sa.Column("value", sa.LargeBinary(64), primary_key=True),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=True),
        if_not_exists=True,
    )


def downgrade() -> None:
    for table in ("nonce", "attestation", "device"):
        op.drop_table(table)
