# SPDX-License-Identifier: Apache-2.0
"""What the fleet tests share: fleet files, the command, and what must hold of an inventory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from attest import audit, endorsement, keys
from attest.inventory import Inventory
from attest.tables import DEVICES
from attest.units import PROVISIONED, Units

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 600


def write_fleet(folder: Path, bundle: Path, serials: Sequence[str], more: str = "") -> Path:
    """A fleet file of one group."""
    folder.mkdir(exist_ok=True)
    (folder / "units.csv").write_text("serial\n" + "".join(f"{s}\n" for s in serials))
    file = folder / "fleet.toml"
    file.write_text(
        f'[fleet]\nname = "homes"\n[group.all]\nbundle = "{bundle}"\nunits = "units.csv"\n{more}'
    )
    return file


def start(*words: str | Path, **environment: str) -> subprocess.Popen[str]:
    """`coffret fleet ...`, running."""
    return subprocess.Popen(
        [sys.executable, REPOSITORY / "coffret.py", "fleet", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def run(*words: str | Path, **environment: str) -> tuple[int, str, str]:
    """`coffret fleet ...` to its end: exit code, stdout, stderr."""
    process = start(*words, **environment)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def assert_each_provisioned_once(inventory: Inventory, serials: Sequence[str]) -> None:
    """Every board is good, has one identity, was endorsed once, and no old lease wrote anything."""
    units = Units(inventory).all()
    assert sorted(unit.serial for unit in units) == sorted(serials)
    assert {unit.state for unit in units} == {PROVISIONED}, [(u.serial, u.why) for u in units]
    identities = {unit.instance_id for unit in units}
    assert len(identities) == len(serials)
    with inventory.engine.connect() as connection:
        devices = connection.execute(sa.select(DEVICES)).all()
    assert {device.instance_id for device in devices} == identities
    operator = keys.load("operator").public
    for device in devices:
        endorsed = endorsement.verify(device.endorsement, operator)
        assert endorsed.identity.instance_id == device.instance_id
    deeds = Counter(e.subject for e in audit.entries(inventory.engine) if e.what == "endorse")
    assert deeds == Counter(unit.name for unit in units)
    tokens: dict[str, list[int]] = defaultdict(list)
    for entry in Units(inventory).journal():
        tokens[entry.serial].append(entry.token)
    for serial, written in tokens.items():
        assert written == sorted(written), f"{serial}: an old lease wrote after a newer one"
