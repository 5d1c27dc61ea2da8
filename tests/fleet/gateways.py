# SPDX-License-Identifier: Apache-2.0
"""Many workers on one PostgreSQL server, each with simulated boards of its own: a fleet by day.

Boards wait for their line (115,200 baud) and their start (1 s) as real ones do, so that many fit
on one computer; the protocol, the keys and the database are real.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from attest import keys
from attest.campaigns import DONE, RUNNING, Campaigns
from attest.inventory import Inventory
from attest.units import PROVISIONED, Units
from flasher.fleet import plan as plans
from flasher.fleet.config import load
from flasher.fleet.reach import Reach
from flasher.fleet.run import begin
from flasher.state import runtime_root
from tests.fleet.fleets import REPOSITORY, start, write_fleet

_POOLS = 40  # connections that one worker opens at most: its own pool and the workflow engine's
_OTHERS = 20
LEASE_S = 60  # nobody is killed here; a busy computer may be late
_PATIENCE_S = 840.0
_POLL_S = 0.25
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one campaign. `cpu_s`: processor time of the workers alone, in seconds."""

    serials: tuple[str, ...]
    seconds: float
    cpu_s: float

    @property
    def per_minute(self) -> float:
        return 60 * len(self.serials) / self.seconds


def connections(workers: int) -> int:
    """How many connections their database server must take."""
    return workers * _POOLS + _OTHERS


def provision(
    bundle: Path, inventory: Inventory, url: str, place: Path, workers: int, boards: int
) -> Outcome:
    """`workers` provision `boards` boards each; timed from when all are ready to the last board.

    `place` is a folder of this run alone; the operator's key is the environment's.
    """
    names = [f"w{number:02}" for number in range(workers)]
    serials = tuple(f"{name}-{number:04}" for name in names for number in range(boards))
    file = write_fleet(place / "f", bundle, serials)
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(_boards(bundle, place, name, boards))
        processes = [stack.enter_context(_worker(place, name, url)) for name in names]
        for process in processes:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert f"{boards} boards at hand" in said, said + process.stderr.read()
        campaigns = Campaigns(inventory)
        plan = plans.make(plans.PROVISION, load(file), inventory, Reach({}, {}))
        used = sum(_cpu_s(process.pid) for process in processes)
        began = time.monotonic()
        campaign = begin(plan, inventory, keys.load("operator").private).id
        while (state := campaigns.get(campaign)) is not None and state.state == RUNNING:
            assert time.monotonic() - began < _PATIENCE_S, _standing(inventory, serials)
            time.sleep(_POLL_S)
        seconds = time.monotonic() - began
        used = sum(_cpu_s(process.pid) for process in processes) - used
    assert state is not None
    assert state.state == DONE, state.why
    return Outcome(serials, seconds, used)


@contextmanager
def _boards(bundle: Path, place: Path, name: str, count: int) -> Iterator[None]:
    """Boards behind the gateway `name`, ten in a process."""
    home = place / name
    home.mkdir()
    root = runtime_root({"XDG_RUNTIME_DIR": str(home)})
    module = ["-m", "tests.fleet.simulated_fleet"]
    words = [*module, str(bundle), str(root), f"{name}-", str(count), "--real"]
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.communicate("", timeout=_STOP_S)


@contextmanager
def _worker(place: Path, name: str, url: str) -> Iterator[subprocess.Popen[str]]:
    words = ("worker", "--worker", name, "--lease", str(LEASE_S), "--database", url)
    process = start(*words, XDG_RUNTIME_DIR=str(place / name))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _cpu_s(pid: int) -> float:
    """Processor time of a process: user and system, as proc(5) has it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _standing(inventory: Inventory, serials: tuple[str, ...]) -> str:
    done = sum(unit.state == PROVISIONED for unit in Units(inventory).all())
    return f"not in {_PATIENCE_S} s: {done} of {len(serials)} boards are done"
