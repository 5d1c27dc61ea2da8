# SPDX-License-Identifier: Apache-2.0
"""A worker: takes the jobs of the boards at hand, each as a durable workflow on DBOS.

One workflow is one attempt at one board. DBOS records each step's outcome; a worker that died and
comes back under its name goes on behind the last one. A worker that stays away loses its leases,
and another makes a new attempt, whose steps find done what is done.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self, TypedDict

import sqlalchemy as sa
from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from attest.campaigns import Campaign, Campaigns
from attest.inventory import Inventory
from attest.p256 import PrivateKey
from attest.units import (
    PROVISIONED,
    QUARANTINED,
    Held,
    StaleTokenError,
    Unit,
    Units,
    write_journal,
)
from boards.errors import ENVIRONMENT, CoffretError
from flasher.errors import NoPortError
from flasher.fleet import engine
from flasher.fleet.bundles import FleetBundle, Shelf
from flasher.fleet.lease import Grip, Keeper
from flasher.fleet.plan import ATTEST
from flasher.fleet.reach import look
from flasher.fleet.steps import STEPS, Bench, permanent

_PAUSE_S = 0.1
_LOOK_S = 1.0
_BACKOFF_MAX_MS = 600_000
# A board that is away is looked for again after this.
_AWAY_MS = 1000


class Outcome(TypedDict, total=False):
    """What a step came to, as DBOS records it: a result, or an error for people.

    `stale`: the lease is over. `away`: the board is not at hand, which is not its fault.
    """

    result: dict[str, object]
    error: str
    mend: str
    permanent: bool
    stale: bool
    away: bool


class Ticket(NamedTuple):
    """Which attempt a step belongs to; plain values, for DBOS to record."""

    campaign: str
    serial: str
    token: int
    holder: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How a worker works. `campaign`: only that one; `labels`: "FOLDER/*.png"."""

    name: str
    ports: int = 8
    lease_ms: int = 15_000
    campaign: str | None = None
    labels: str | None = None


@dataclass(slots=True)
class Activity:
    """What a worker does at one board now; for a person who watches."""

    step: str
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class _Attempt:
    """One attempt's context, made anew after a crash."""

    campaign: Campaign
    held: Held
    grip: Grip
    activity: Activity = field(default_factory=lambda: Activity("lease"))


@DBOS.dbos_class("FleetWorker")
class Worker(DBOSConfiguredInstance):
    """One worker of this process; there can only be one. A context manager."""

    def __init__(self, inventory: Inventory, operator: PrivateKey, settings: Settings) -> None:
        super().__init__("worker")
        self.settings = settings
        self._inventory = inventory
        self._operator = operator
        self._units = Units(inventory)
        self._campaigns = Campaigns(inventory)
        self._attempts: dict[str, _Attempt] = {}
        self._busy: dict[str, Activity] = {}
        self._lock = threading.Lock()
        self._reach: Mapping[str, str] = {}
        self._looked = 0.0

    def __enter__(self) -> Self:
        self._alone = engine.only_one(self._inventory, self.settings.name)
        self._shelf = Shelf(self._inventory)
        self._keeper = Keeper(self.settings.lease_ms)
        self._look()
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        DBOS(config=engine.configuration(self._inventory, self.settings.name))
        try:
            DBOS.launch()
        except Exception as error:
            self.__exit__(None, None, None)
            raise CoffretError(
                f"the workflow engine does not start: {type(error).__name__}",
                "check the database with --database, and that it may be written",
                ENVIRONMENT,
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        DBOS.destroy()
        self._keeper.close()
        self._shelf.close()
        os.close(self._alone)

    # Taking jobs

    @property
    def activities(self) -> dict[str, Activity]:
        """What is done at which board, by serial number."""
        with self._lock:
            return dict(self._busy)

    def run(self, wanted: Callable[[], bool]) -> None:
        """Takes jobs while `wanted()`; returns when those it has are over."""
        while wanted():
            self.take()
            time.sleep(_PAUSE_S)
        while self.activities:
            time.sleep(_PAUSE_S)

    def take(self) -> int:
        """Starts attempts at boards that are free, up to the number of ports. Returns how many."""
        self._look()
        with self._lock:
            free = self.settings.ports - len(self._busy)
            serials = [serial for serial in self._reach if serial not in self._busy]
        jobs = self._campaigns.next_jobs(serials, free, self.settings.campaign)
        started = 0
        for job in jobs:
            with self._lock:
                if job.serial in self._busy:
                    continue
                self._busy[job.serial] = Activity("waiting")
            with SetWorkflowID(f"{job.campaign}/{job.serial}/{uuid.uuid4().hex[:12]}"):
                DBOS.start_workflow(self.attempt, job.campaign, job.serial)
            started += 1
        return started

    def reachable(self) -> Mapping[str, str]:
        """Ports by serial number, as seen last."""
        return self._reach

    def _look(self) -> None:
        if time.monotonic() - self._looked > _LOOK_S:
            self._reach = look().ports
            self._looked = time.monotonic()

    # One attempt

    @DBOS.workflow()
    def attempt(self, campaign: str, serial: str) -> str:
        """Works on one board; says how it ended. Nothing is raised: DBOS would keep it as it is."""
        holder = str(DBOS.workflow_id)
        try:
            token = DBOS.run_step({"name": "lease"}, self._lease, serial, holder)
            found = self._campaigns.get(campaign)
            if token is None or found is None:
                return "taken"
            ticket = Ticket(campaign, serial, token, holder)
            results: dict[str, dict[str, object]] = {}
            for step in STEPS[found.kind]:
                outcome = DBOS.run_step({"name": step}, self._step, ticket, step)
                if "result" not in outcome:
                    return DBOS.run_step({"name": "end"}, self._failed, ticket, step, outcome)
                results[step] = outcome["result"]
            return DBOS.run_step({"name": "end"}, self._done, ticket, results)
        finally:
            self._forget(serial, holder)

    def _lease(self, serial: str, holder: str) -> int | None:
        held = self._units.lease(serial, holder, self.settings.lease_ms)
        return None if held is None else held.token

    def _step(self, ticket: Ticket, step: str) -> Outcome:
        """One step at the board, between two lines of the journal."""
        try:
            attempt = self._attempt(ticket)
            attempt.grip.renew()
            attempt.activity.step, attempt.activity.total = step, 0
            self._journal(ticket, attempt, step, "begin")
            result = STEPS[attempt.campaign.kind][step](self._bench(ticket, attempt, step))
            self._journal(ticket, attempt, step, "done", _words(result))
            return {"result": result}
        except StaleTokenError as error:
            return {"error": str(error), "stale": True}
        except NoPortError as error:
            return {"error": error.message, "mend": error.mend, "away": True}
        except CoffretError as error:
            return {"error": error.message, "mend": error.mend, "permanent": permanent(error)}
        except Exception as error:
            # A library's words may quote what came from the board.
            what = f"the worker failed: {type(error).__name__}"
            logging.getLogger(__name__).debug("step %s of %s", step, ticket.serial, exc_info=True)
            return {"error": what, "mend": "report it with the journal", "permanent": False}

    def _journal(
        self, ticket: Ticket, attempt: _Attempt, step: str, event: str, text: str = ""
    ) -> None:
        attempt.held.journal(ticket.campaign, self.settings.name, step, event, text)

    def _bench(self, ticket: Ticket, attempt: _Attempt, step: str) -> Bench:
        unit = self._unit(ticket.serial)
        port = self._reach.get(ticket.serial) or look().ports.get(ticket.serial)
        if port is None:
            raise NoPortError(f"{unit.name}: is not at hand", "plug it in")

        def progress(done: int, total: int) -> None:
            attempt.activity.done, attempt.activity.total = done, total

        def say(line: str) -> None:
            logging.getLogger(__name__).debug("%s: %s: %s", unit.name, step, line)

        return Bench(
            port=port,
            unit=unit,
            held=attempt.held,
            bundle=self._bundle(attempt.campaign, unit),
            operator=self._operator,
            inventory=self._inventory,
            labels=self.settings.labels,
            say=say,
            progress=progress,
            guard=attempt.grip,
            deltas=self._shelf.delta_to,
        )

    def _unit(self, serial: str) -> Unit:
        unit = self._units.unit(serial)
        assert unit is not None, "a job is about a unit of the inventory"
        return unit

    def _bundle(self, campaign: Campaign, unit: Unit) -> FleetBundle:
        return self._shelf.get(campaign.groups[unit.group])

    # How it ends

    def _done(self, ticket: Ticket, results: dict[str, dict[str, object]]) -> str:
        try:
            attempt = self._attempt(ticket)
            bundle = self._bundle(attempt.campaign, self._unit(ticket.serial))
            facts = bundle.bundle
            runs = (facts.appliance, facts.version, bundle.policy_digest)
            with attempt.held.writing() as connection:
                self._units.settle(connection, attempt.held, PROVISIONED, None, runs)
                self._campaigns.job_done(connection, ticket.campaign, ticket.serial, results)
                self._write(connection, ticket, attempt, "end", "done", "")
        except StaleTokenError:
            return "stale"
        attempt.held.release()
        return "done"

    def _failed(self, ticket: Ticket, step: str, outcome: Outcome) -> str:
        """Tried again later, or for good: then the unit goes into quarantine."""
        if outcome.get("stale"):
            return "stale"
        what, mend = outcome["error"], outcome.get("mend", "")
        try:
            attempt = self._attempt(ticket)
            campaign = attempt.campaign
            with attempt.held.writing() as connection:
                self._write(connection, ticket, attempt, step, "failed", f"{what}; {mend}")
                place = (connection, ticket.campaign, ticket.serial)
                tries = self._campaigns.attempts(*place) + 1
                if outcome.get("away"):
                    self._campaigns.job_again(*place, what, _AWAY_MS, counts=False)
                    ended = "away"
                elif not outcome.get("permanent") and tries < campaign.attempts:
                    pause = min(campaign.backoff_ms << (tries - 1), _BACKOFF_MAX_MS)
                    self._campaigns.job_again(*place, what, pause)
                    ended = "again"
                else:
                    if campaign.kind != ATTEST:
                        self._units.settle(connection, attempt.held, QUARANTINED, what)
                    self._campaigns.job_failed(*place, f"{what}; {mend}")
                    ended = "failed"
        except StaleTokenError:
            return "stale"
        attempt.held.release()
        return ended

    def _write(
        self,
        connection: sa.Connection,
        ticket: Ticket,
        attempt: _Attempt,
        step: str,
        event: str,
        text: str,
    ) -> None:
        name = self.settings.name
        write_journal(connection, attempt.held, ticket.campaign, name, step, event, text)

    def _attempt(self, ticket: Ticket) -> _Attempt:
        """The attempt's context: made at its first step, and anew after a crash."""
        known = self._attempts.get(ticket.holder)
        if known is not None:
            return known
        campaign = self._campaigns.get(ticket.campaign)
        assert campaign is not None, "its first step has seen it"
        engine, lease_ms = self._inventory.engine, self.settings.lease_ms
        held = Held(engine, ticket.serial, ticket.token, ticket.holder, lease_ms)
        attempt = _Attempt(campaign, held, Grip(held))
        self._attempts[ticket.holder] = attempt
        with self._lock:
            self._busy[ticket.serial] = attempt.activity
        self._keeper.keep(attempt.grip)
        return attempt

    def _forget(self, serial: str, holder: str) -> None:
        attempt = self._attempts.pop(holder, None)
        if attempt is not None:
            self._keeper.forget(attempt.grip)
        with self._lock:
            self._busy.pop(serial, None)


def _words(result: Mapping[str, object]) -> str:
    """What a person wants to read of a step's result."""
    for key in ("version", "verdict", "label"):
        if result.get(key):
            return str(result[key])
    return ""
