# SPDX-License-Identifier: Apache-2.0
"""The transparency log, in the transaction of what it is about; its entries stay as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SQLITE = (
    """CREATE TRIGGER log_entry_stays BEFORE UPDATE ON log_entry
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    """CREATE TRIGGER log_entry_remains BEFORE DELETE ON log_entry
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION log_entry_stays() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$""",
    """CREATE TRIGGER log_entry_stays BEFORE UPDATE OR DELETE ON log_entry
    FOR EACH ROW EXECUTE FUNCTION log_entry_stays()""",
)


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "log_entry",
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("about", sa.LargeBinary(32), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("log_entry_about", "log_entry", ["about"])
    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )
    for statement in _POSTGRESQL if _is_postgresql() else _SQLITE:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("log_node")
    op.drop_table("log_entry")
    if _is_postgresql():
        op.execute("DROP FUNCTION log_entry_stays")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
