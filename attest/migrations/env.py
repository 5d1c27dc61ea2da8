# SPDX-License-Identifier: Apache-2.0
"""What alembic runs: always on the connection that `migrate` opened."""

from __future__ import annotations

from alembic import context

from attest.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
