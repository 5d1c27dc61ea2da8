# SPDX-License-Identifier: Apache-2.0
"""A database of any release becomes today's, once, and loses nothing on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from simulated_device import GOOD, OPERATOR

import attest
from attest import migrations
from attest.tables import METADATA

BEFORE_ALEMBIC = ("device", "attestation", "nonce")
NEW_COLUMNS = ("result", "reporter", "attestation")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> sa.Engine:
    url = f"sqlite:///{tmp_path / 'inventory.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").url()
    return sa.create_engine(url)


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return made


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(config()).get_heads() == [migrations.HEAD]


def test_migrations_make_exactly_the_tables_of_today(engine: sa.Engine) -> None:
    migrations.migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_an_inventory_from_before_alembic_keeps_its_devices(engine: sa.Engine) -> None:
    old = sa.MetaData()
    for name in BEFORE_ALEMBIC:
        columns = [c._copy() for c in METADATA.tables[name].columns if c.name not in NEW_COLUMNS]
        sa.Table(name, old, *columns)
    old.create_all(engine)
    facts = GOOD.identity_facts
    row = {
        "instance_id": facts.instance_id,
        "name": "kitchen",
        "board": facts.board,
        "identity_key": facts.identity_key,
        "implementation_id": facts.implementation_id,
        "boot_digest": facts.boot_digest,
        "endorsement": GOOD.endorsed_by(OPERATOR),
        "created": 1,
    }
    with engine.begin() as connection:
        connection.execute(old.tables["device"].insert().values(row))
    inventory = attest.open_inventory(engine.url.render_as_string(hide_password=False))
    found = inventory.find("kitchen")
    assert found is not None
    assert found.instance_id == facts.instance_id
    inventory.close()


def test_many_open_a_new_inventory_at_once(engine: sa.Engine) -> None:
    location = engine.url.render_as_string(hide_password=False)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: attest.open_inventory(location), range(6)))
    assert opened[0].devices() == []
    for each in opened:
        each.close()


def test_going_down_and_up_again_leaves_the_devices(engine: sa.Engine) -> None:
    location = engine.url.render_as_string(hide_password=False)
    inventory = attest.open_inventory(location)
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory, name="kitchen")
    inventory.close()
    with engine.begin() as connection:
        down = config()
        down.attributes["connection"] = connection
        downgrade(down, "0001")
    inventory = attest.open_inventory(location)
    assert [device.name for device in inventory.devices()] == ["kitchen"]
    inventory.close()
