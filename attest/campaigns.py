# SPDX-License-Identifier: Apache-2.0
"""Campaigns: one piece of work on many units, in stages, with its state in the inventory.

Nobody has to stay alive for a campaign to go on: whoever ends a job moves the campaign to its next
stage, or halts it, in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from attest import audit
from attest.inventory import Inventory
from attest.record import insert_for
from attest.tables import CAMPAIGNS, JOBS, UNITS
from attest.units import QUARANTINED, RETIRED, Units, clock_ms

RUNNING, DONE, HALTED = "running", "done", "halted"
WAITING, FAILED = "waiting", "failed"
CAMPAIGN_LOCK = 0x666C6565  # PostgreSQL's advisory lock of whoever begins a campaign
_SEEN = -1  # the stage of a failed job that somebody knew of when the campaign was resumed


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is to be done. `plan` is the caller's own, as JSON."""

    id: str
    fleet: str
    kind: str
    plan: dict[str, object]
    state: str
    why: str | None
    stage: int
    created: int
    ended: int | None

    @property
    def groups(self) -> dict[str, str]:
        """The digest of each group's bundle."""
        groups = self.plan["groups"]
        assert isinstance(groups, dict)
        return groups

    @property
    def attempts(self) -> int:
        """How often a board is tried."""
        return int(str(self.plan["attempts"]))

    @property
    def backoff_ms(self) -> int:
        """The pause before a board is tried again; doubled each time."""
        return int(str(self.plan["backoff_ms"]))


@dataclass(frozen=True, slots=True)
class Job:
    """One unit's part in a campaign. `why` tells of its last failure."""

    campaign: str
    serial: str
    stage: int
    state: str
    attempts: int
    why: str | None
    result: dict[str, object] | None


class Campaigns:
    """The campaigns of an inventory."""

    def __init__(self, inventory: Inventory) -> None:
        self._engine = inventory.engine
        self._units = Units(inventory)

    def begin(
        self,
        fleet: str,
        kind: str,
        plan: Mapping[str, object],
        units: Sequence[Mapping[str, object]],
        stages: Mapping[str, int],
        policies: Mapping[bytes, bytes],
        audit_detail: Mapping[str, object],
        key: bytes | None = None,
    ) -> tuple[Campaign, bool]:
        """The campaign of this plan: the one that is under way, or a new one (then True).

        `units` are rows for `Units.register`, `stages` the stage of each serial number.
        """
        digest = plan_digest(kind, plan)
        with self._engine.begin() as connection:
            _one_at_a_time(connection)
            self._units.register(connection, fleet, units)
            self._units.keep_policies(connection, policies)
            open_one = (CAMPAIGNS.c.digest == digest) & (CAMPAIGNS.c.state != DONE)
            query = sa.select(CAMPAIGNS).where(open_one).order_by(CAMPAIGNS.c.created.desc())
            row = connection.execute(query.limit(1)).one_or_none()
            if row is not None:
                if row.state == RUNNING:
                    self._add_jobs(connection, row.id, stages)
                return _campaign(row), False
            older = (CAMPAIGNS.c.fleet == fleet) & (CAMPAIGNS.c.kind == kind)
            connection.execute(
                sa.update(CAMPAIGNS)
                .where(older, CAMPAIGNS.c.state != DONE)
                .values(state=DONE, why="another one took its place", ended=int(time.time()))
            )
            values = {
                "id": f"{kind}-{secrets.token_hex(8)}",
                "fleet": fleet,
                "kind": kind,
                "plan": json.dumps(dict(plan), sort_keys=True),
                "digest": digest,
                "state": RUNNING if stages else DONE,
                "stage": min(stages.values(), default=0),
                "created": int(time.time()),
            }
            connection.execute(sa.insert(CAMPAIGNS).values(values))
            self._add_jobs(connection, str(values["id"]), stages)
            detail = {"campaign": values["id"], "units": len(stages), **audit_detail}
            audit.note(connection, kind, fleet, key=key, detail=detail)
            row = connection.execute(
                sa.select(CAMPAIGNS).where(CAMPAIGNS.c.id == values["id"])
            ).one()
            return _campaign(row), True

    def _add_jobs(
        self, connection: sa.Connection, campaign: str, stages: Mapping[str, int]
    ) -> None:
        """Jobs for units that have none yet; those that failed are tried again."""
        if not stages:
            return
        rows = [
            {"campaign": campaign, "serial": serial, "stage": stage}
            | {"state": WAITING, "attempts": 0, "due": 0}
            for serial, stage in stages.items()
        ]
        insert = insert_for(connection, JOBS)
        again = {"state": WAITING, "attempts": 0, "due": 0}
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["campaign", "serial"], set_=again, where=JOBS.c.state == FAILED
            ),
            rows,
        )

    def resume(self, campaign: str) -> None:
        """A halted campaign goes on; units in quarantine stay where they are."""
        with self._engine.begin() as connection:
            _one_at_a_time(connection)
            this = CAMPAIGNS.c.id == campaign
            connection.execute(sa.update(CAMPAIGNS).where(this).values(state=RUNNING, why=None))
            failed = (JOBS.c.campaign == campaign) & (JOBS.c.state == FAILED)
            again = failed & JOBS.c.serial.not_in(_out_of_service())
            connection.execute(
                sa.update(JOBS).where(again).values(state=WAITING, attempts=0, due=0)
            )
            # Whoever resumes has seen these failures: they do not halt it again.
            connection.execute(sa.update(JOBS).where(failed).values(stage=_SEEN))
            connection.execute(
                sa.update(CAMPAIGNS)
                .where(this)
                .values(
                    stage=sa.select(sa.func.coalesce(sa.func.min(JOBS.c.stage), 0))
                    .where(JOBS.c.campaign == campaign, JOBS.c.state == WAITING)
                    .scalar_subquery()
                )
            )
            audit.note(connection, "resume", campaign)
            self._advance(connection, campaign)

    def get(self, campaign: str) -> Campaign | None:
        """The campaign with this id."""
        with self._engine.connect() as connection:
            query = sa.select(CAMPAIGNS).where(CAMPAIGNS.c.id == campaign)
            row = connection.execute(query).one_or_none()
        return None if row is None else _campaign(row)

    def jobs(self, campaign: str) -> list[Job]:
        """All jobs, by serial number."""
        query = sa.select(JOBS).where(JOBS.c.campaign == campaign).order_by(JOBS.c.serial)
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(query)]

    def next_jobs(
        self, serials: Collection[str], limit: int, campaign: str | None = None
    ) -> list[Job]:
        """Jobs that are due, in an open stage, on units of `serials` that nobody holds."""
        if not serials or limit <= 0:
            return []
        with self._engine.connect() as connection:
            now = clock_ms(connection)
            free = UNITS.c.holder.is_(None) | (UNITS.c.lease_until < now)
            query = (
                sa.select(JOBS)
                .join(CAMPAIGNS, CAMPAIGNS.c.id == JOBS.c.campaign)
                .join(UNITS, UNITS.c.serial == JOBS.c.serial)
                .where(
                    JOBS.c.state == WAITING,
                    JOBS.c.due <= now,
                    CAMPAIGNS.c.state == RUNNING,
                    JOBS.c.stage <= CAMPAIGNS.c.stage,
                    JOBS.c.serial.in_(list(serials)),
                    free,
                )
                .order_by(JOBS.c.attempts, CAMPAIGNS.c.created, JOBS.c.serial)
                .limit(limit)
            )
            if campaign is not None:
                query = query.where(JOBS.c.campaign == campaign)
            return [_job(row) for row in connection.execute(query)]

    def under_way(self, campaign: str) -> bool:
        """Whether a worker holds one of its boards, or one is waiting for its next try."""
        with self._engine.connect() as connection:
            now = clock_ms(connection)
            again = (JOBS.c.attempts > 0) & (JOBS.c.due > now)
            query = (
                sa.select(JOBS.c.serial)
                .join(UNITS, UNITS.c.serial == JOBS.c.serial)
                .where(JOBS.c.campaign == campaign, JOBS.c.state == WAITING)
                .where(again | (UNITS.c.holder.is_not(None) & (UNITS.c.lease_until > now)))
                .limit(1)
            )
            return connection.execute(query).first() is not None

    # What a worker says of a job, in a transaction that its lease has opened

    def job_done(
        self, connection: sa.Connection, campaign: str, serial: str, result: Mapping[str, object]
    ) -> None:
        """The job is done; the campaign may go on to its next stage."""
        values = {"state": DONE, "why": None, "result": json.dumps(dict(result))}
        self._set(connection, campaign, serial, values)
        self._advance(connection, campaign)

    def attempts(self, connection: sa.Connection, campaign: str, serial: str) -> int:
        """How often the job has failed."""
        this = (JOBS.c.campaign == campaign) & (JOBS.c.serial == serial)
        query = sa.select(JOBS.c.attempts).where(this)
        return int(connection.execute(query).scalar_one())

    def job_again(
        self,
        connection: sa.Connection,
        campaign: str,
        serial: str,
        why: str,
        after_ms: int,
        *,
        counts: bool = True,
    ) -> None:
        """The job failed and is tried again, after a while; unless it `counts`, without end."""
        due = clock_ms(connection) + after_ms
        values = {"attempts": JOBS.c.attempts + int(counts), "due": due, "why": why}
        self._set(connection, campaign, serial, values)

    def job_failed(self, connection: sa.Connection, campaign: str, serial: str, why: str) -> None:
        """The job failed for good; the campaign may halt."""
        values = {"state": FAILED, "attempts": JOBS.c.attempts + 1, "why": why}
        self._set(connection, campaign, serial, values)
        self._advance(connection, campaign)

    def _set(
        self, connection: sa.Connection, campaign: str, serial: str, values: Mapping[str, object]
    ) -> None:
        this = (JOBS.c.campaign == campaign) & (JOBS.c.serial == serial)
        connection.execute(sa.update(JOBS).where(this).values(dict(values)))

    def _advance(self, connection: sa.Connection, campaign: str) -> None:
        """Opens the next stage when this one is over, or halts at too many failures."""
        query = sa.select(CAMPAIGNS).where(CAMPAIGNS.c.id == campaign).with_for_update()
        row = connection.execute(query).one()
        if row.state != RUNNING:
            return
        mine = JOBS.c.campaign == campaign
        failed = connection.execute(
            sa.select(sa.func.count()).where(mine, JOBS.c.state == FAILED, JOBS.c.stage != _SEEN)
        ).scalar_one()
        left = connection.execute(
            sa.select(sa.func.min(JOBS.c.stage)).where(mine, JOBS.c.state == WAITING)
        ).scalar_one_or_none()
        allowed = json.loads(row.plan).get("halt_after")
        values: dict[str, object] = {}
        if left is None:
            values = {"state": DONE, "ended": int(time.time())}
        elif isinstance(allowed, int) and failed >= allowed:
            why = f"{failed} of the boards failed; at {allowed} the roll-out halts"
            values = {"state": HALTED, "why": why}
            audit.note(connection, "halt", row.fleet, detail={"campaign": campaign, "why": why})
        elif left > row.stage:
            values = {"stage": left}
        if values:
            this = CAMPAIGNS.c.id == campaign
            connection.execute(sa.update(CAMPAIGNS).where(this).values(values))


def plan_digest(kind: str, plan: Mapping[str, object]) -> str:
    """What makes two runs of a command the same campaign."""
    text = json.dumps([kind, dict(plan)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _out_of_service() -> sa.Select[tuple[str]]:
    return sa.select(UNITS.c.serial).where(UNITS.c.state.in_((QUARANTINED, RETIRED)))


def _one_at_a_time(connection: sa.Connection) -> None:
    """Two people may start the same campaign in one moment: the second sees the first's."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CAMPAIGN_LOCK)))
    else:
        # A write takes SQLite's lock, so that what is read next cannot change before the commit.
        connection.execute(sa.update(CAMPAIGNS).where(sa.false()).values(stage=0))


def _campaign(row: sa.Row[tuple[object, ...]]) -> Campaign:
    facts = dict(row._mapping)
    facts["plan"] = json.loads(facts["plan"])
    facts.pop("digest")
    return Campaign(**facts)


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    result = None if row.result is None else json.loads(row.result)
    return Job(row.campaign, row.serial, row.stage, row.state, row.attempts, row.why, result)
