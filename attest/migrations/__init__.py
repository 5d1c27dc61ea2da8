# SPDX-License-Identifier: Apache-2.0
"""Brings a database to the tables of today, whatever release made it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

HEAD = "0004"  # the newest in versions/; tests/attest/test_migrations.py holds it
_LOCK = 0x636F6666  # any number that nobody else locks


def migrate(engine: sa.Engine) -> None:
    """Apply what is missing. Safe from several processes at once; quick when nothing is."""
    if _revision(engine) == HEAD:
        return
    from alembic import command  # noqa: PLC0415 - slow to load, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(
            sa.text("SELECT version_num FROM alembic_version")
        ).scalar_one_or_none()
        return found
