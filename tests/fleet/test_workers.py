# SPDX-License-Identifier: Apache-2.0
"""Several workers on a real PostgreSQL server: one is killed, one is frozen past its lease.

Each worker has cables of its own to every board, as gateways in different places would: nothing but
the fencing token keeps two of them from one board.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import attest
from attest import keys
from attest.campaigns import CAMPAIGN_LOCK, Campaigns
from attest.inventory import Inventory
from attest.units import Units
from flasher.fleet import plan as plans
from flasher.fleet.config import load
from flasher.fleet.engine import configuration
from flasher.fleet.reach import Reach
from flasher.fleet.run import begin
from flasher.state import runtime_root
from tests.flasher.fake_board import WRITE, FakeBoard
from tests.fleet.fleets import assert_each_provisioned_once, start, write_fleet
from tests.fleet.simulated_fleet import Pace, SimulatedBoard, blank, firmware_of, plugged_in
from tests.postgresql import Database

LEASE_S = 5
PATIENCE_S = 300
# Slow enough that a worker is caught in the middle of an image.
SLOW = Pace(line=30_000, start_s=0.5)


class Gateway:
    """A worker in a process of its own, with its own cables to the boards."""

    def __init__(self, name: str, place: Path, url: str) -> None:
        self.name = name
        self.home = place / name
        self.home.mkdir()
        self.root = runtime_root({"XDG_RUNTIME_DIR": str(self.home)})
        self.cables: dict[str, FakeBoard] = {}
        self._url = url
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        words = ("worker", "--worker", self.name, "--lease", str(LEASE_S), "--ports", "2")
        environment = {"XDG_RUNTIME_DIR": str(self.home)}
        self.process = start(*words, "--database", self._url, **environment)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@contextmanager
def gateways(
    names: str, serials: list[str], hello: Path, place: Path, url: str
) -> Iterator[tuple[dict[str, Gateway], list[SimulatedBoard]]]:
    """Gateways, each with a cable to each of the boards."""
    firmware = firmware_of([hello])
    boards = [blank(firmware, SLOW) for _ in serials]
    with ExitStack() as stack:
        found = {}
        for name in names.split():
            gateway = Gateway(name, place, url)
            for serial, board in zip(serials, boards, strict=True):
                port = stack.enter_context(plugged_in(board, serial, gateway.root))
                gateway.cables[serial] = port
            stack.callback(gateway.stop)
            found[name] = gateway
        yield found, boards


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, f"not in {PATIENCE_S} s: {what}"
        time.sleep(0.05)


def begin_provisioning(file: Path, serials: list[str], inventory: Inventory) -> str:
    """The campaign, begun from a computer that has no board itself."""
    plan = plans.make(plans.PROVISION, load(file), inventory, Reach({}, {}))
    assert [entry.serial for entry in plan.work] == serials
    return begin(plan, inventory, keys.load("operator").private).id


def busy_with(inventory: Inventory, worker: str, step: str) -> set[str]:
    """The boards at which a worker has begun, and not ended, a step."""
    state = {
        entry.serial: (entry.worker, entry.step, entry.event)
        for entry in Units(inventory).journal()
    }
    return {serial for serial, last in state.items() if last == (worker, step, "begin")}


def test_a_process_frozen_inside_a_transaction_keeps_no_lock(
    hello: Path, place: Path, postgresql: Database
) -> None:
    """Its connection is open and asks nothing more, as that of a stopped process."""
    inventory = attest.open_inventory(postgresql.url("psycopg"))
    serials = ["b00"]
    file = write_fleet(place / "f", hello, serials)
    with inventory.engine.connect() as frozen:
        frozen.execute(sa.select(sa.func.pg_advisory_xact_lock(CAMPAIGN_LOCK)))
        campaign = begin_provisioning(file, serials, inventory)
        assert Campaigns(inventory).get(campaign) is not None
        with pytest.raises(sa.exc.DBAPIError):
            frozen.execute(sa.select(1))
        frozen.invalidate()
    inventory.close()


def test_neither_does_one_frozen_in_the_workflow_engine(postgresql: Database) -> None:
    inventory = attest.open_inventory(postgresql.url())
    where = configuration(inventory, "a")["system_database_url"]
    assert where is not None
    engine = sa.create_engine(where)
    with engine.connect() as connection:
        shown = connection.scalar(sa.text("SHOW idle_in_transaction_session_timeout"))
    assert shown == "10s"
    engine.dispose()
    inventory.close()


@pytest.mark.parametrize(
    ("names", "count"), [("a b", 3), pytest.param("a b c", 24, marks=pytest.mark.all)]
)
def test_a_frozen_worker_that_thaws_past_its_lease_keeps_its_hands_off(
    hello: Path, place: Path, postgresql: Database, names: str, count: int
) -> None:
    url = postgresql.url("psycopg")
    serials = [f"b{number:02}" for number in range(count)]
    inventory = attest.open_inventory(url)
    file = write_fleet(place / "f", hello, serials)
    campaign = begin_provisioning(file, serials, inventory)
    with gateways(names, serials, hello, place, url) as (workers, boards):
        frozen, *others = workers.values()
        frozen.start()
        wait_until("a is writing", lambda: bool(busy_with(inventory, "a", "image")))
        frozen.signal(signal.SIGSTOP)
        held = busy_with(inventory, "a", "image")
        for other in others:
            other.start()
        if len(others) > 1:
            killed = others[-1]
            wait_until("c is writing", lambda: bool(busy_with(inventory, killed.name, "image")))
            killed.signal(signal.SIGKILL)
        campaigns = Campaigns(inventory)
        wait_until("it is over", lambda: campaigns.get(campaign).state == "done")  # type: ignore[union-attr]
        assert_each_provisioned_once(inventory, serials)
        tokens = {unit.serial: unit.token for unit in Units(inventory).all()}
        assert all(tokens[serial] >= 2 for serial in held)

        before = {serial: len(frozen.cables[serial].asked) for serial in serials}
        lines = len(Units(inventory).journal())
        frozen.signal(signal.SIGCONT)
        time.sleep(LEASE_S)
        for serial in serials:
            after = frozen.cables[serial].asked[before[serial] :]
            written = [command for operation, *command, _ in after if operation == WRITE]
            # One request may have been past the guard when the worker froze.
            assert len(written) <= (serial in held), f"{serial}: {written}"
        assert len(Units(inventory).journal()) == lines
        assert_each_provisioned_once(inventory, serials)
        assert all(board.endorsement for board in boards)
    inventory.close()
