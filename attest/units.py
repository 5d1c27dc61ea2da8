# SPDX-License-Identifier: Apache-2.0
"""The boards of a fleet, and who may touch one: leases with fencing tokens.

A lease is for a time, and a worker may be frozen past it without knowing. So every lease of a unit
has a token, one more than the last, and whatever a worker writes here goes through `Held.writing`:
one statement checks that its token is still the latest, and the rest of the transaction follows
only then. Before it touches the board it asks `Held.check`. The clock is the database's, so that
workers with clocks of their own agree on when a lease ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from attest import audit
from attest.endorsement import Identity
from attest.inventory import Device, Inventory, InventoryError, default_name, name_taken, put_device
from attest.record import insert_for
from attest.tables import DEVICES, JOURNAL, POLICIES, UNITS, new_id
from boards.errors import NO, USAGE, CoffretError

NEW, PROVISIONED, QUARANTINED, RETIRED = "new", "provisioned", "quarantined", "retired"


class StaleTokenError(CoffretError):
    """Somebody else has leased the unit meanwhile: this worker must let go of the board."""

    def __init__(self, serial: str, token: int) -> None:
        super().__init__(
            f"{serial}: the lease {token} is over: another worker has this board",
            "nothing to mend: the other worker goes on; look at this one's machine if it stalls",
            NO,
        )


class IdentityClashError(CoffretError):
    """One unit with two identities, or two units with one."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, NO)


@dataclass(frozen=True, slots=True)
class Unit:
    """One board as its fleet knows it; `why` says what is wrong with one in quarantine."""

    serial: str
    fleet: str
    group: str
    name: str
    board: str
    settings: dict[str, str]
    state: str
    why: str | None
    instance_id: bytes | None
    appliance: str | None
    version: str | None
    policy: bytes | None
    token: int
    holder: str | None

    def to_json(self) -> dict[str, object]:
        return {
            "serial": self.serial,
            "name": self.name,
            "fleet": self.fleet,
            "group": self.group,
            "board": self.board,
            "state": self.state,
            "why": self.why,
            "device": None if self.instance_id is None else self.instance_id.hex(),
            "appliance": self.appliance,
            "version": self.version,
            "settings": self.settings,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    id: int
    time: int
    campaign: str
    serial: str
    token: int
    worker: str
    step: str
    event: str
    text: str

    def to_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "id"}


def clock_ms(connection: sa.Connection) -> sa.ColumnElement[int]:
    """The database's clock in milliseconds since 1970, as an expression."""
    if connection.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1000, sa.BigInteger)
    since_1970: sa.ColumnClause[float] = sa.literal_column(
        "(julianday('now') - 2440587.5) * 86400000.0"
    )
    return sa.cast(since_1970, sa.Integer)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease. `holder` is unique: the same holder gets the same lease again."""

    engine: sa.Engine
    serial: str
    token: int
    holder: str
    lease_ms: int

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that the inventory takes only from the latest holder; it renews the lease.

        Raises StaleTokenError, and then nothing was written.
        """
        mine = (UNITS.c.serial == self.serial) & (UNITS.c.token == self.token)
        with self.engine.begin() as connection:
            renew = sa.update(UNITS).where(mine, UNITS.c.holder == self.holder)
            renew = renew.values(lease_until=clock_ms(connection) + self.lease_ms)
            if connection.execute(renew).rowcount != 1:
                raise StaleTokenError(self.serial, self.token)
            yield connection

    def check(self) -> None:
        """Renews the lease. Raises StaleTokenError: hands off."""
        with self.writing():
            pass

    def journal(self, campaign: str, worker: str, step: str, event: str, text: str = "") -> None:
        """One line on what happens, kept if the lease is."""
        with self.writing() as connection:
            write_journal(connection, self, campaign, worker, step, event, text)

    def release(self) -> None:
        """Gives the unit back; harmless when it is somebody else's already."""
        mine = (UNITS.c.serial == self.serial) & (UNITS.c.token == self.token)
        with self.engine.begin() as connection:
            connection.execute(sa.update(UNITS).where(mine).values(holder=None, lease_until=0))


def write_journal(
    connection: sa.Connection,
    held: Held,
    campaign: str,
    worker: str,
    step: str,
    event: str,
    text: str = "",
) -> None:
    """A line of the journal in the caller's transaction."""
    row = {
        "id": new_id(),
        "time": int(time.time()),
        "campaign": campaign,
        "serial": held.serial,
        "token": held.token,
        "worker": worker,
        "step": step,
        "event": event,
        "text": text,
    }
    connection.execute(sa.insert(JOURNAL).values(row))


class Units:
    """The units of an inventory; safe to use from several processes and threads at once."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._engine = inventory.engine

    # What a fleet file says

    def register(
        self, connection: sa.Connection, fleet: str, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Adds units, or changes group, name and settings of known ones, in the transaction."""
        if not rows:
            return
        insert = insert_for(connection, UNITS)
        given = ("fleet", "group_name", "name", "board", "settings")
        upsert = insert.on_conflict_do_update(
            index_elements=["serial"], set_={name: insert.excluded[name] for name in given}
        )
        blank = {"fleet": fleet, "state": NEW, "token": 0, "lease_until": 0}
        try:
            connection.execute(upsert, [{**blank, **row} for row in rows])
        except IntegrityError:
            raise InventoryError(
                "two units would have one name", "give each unit its own name in the CSV", USAGE
            ) from None

    # What is there

    def unit(self, wanted: str) -> Unit | None:
        """The unit with this serial number or name."""
        query = sa.select(UNITS).where((UNITS.c.serial == wanted) | (UNITS.c.name == wanted))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(UNITS.c.serial == wanted)).all()
        return _unit(rows[-1]) if rows else None

    def all(self, fleet: str | None = None, serials: Iterable[str] | None = None) -> list[Unit]:
        """The units, by group and name."""
        query = sa.select(UNITS).order_by(UNITS.c.group_name, UNITS.c.name)
        if fleet is not None:
            query = query.where(UNITS.c.fleet == fleet)
        if serials is not None:
            query = query.where(UNITS.c.serial.in_(list(serials)))
        with self._engine.connect() as connection:
            return [_unit(row) for row in connection.execute(query)]

    def journal(
        self, serial: str | None = None, campaign: str | None = None, after: int = 0
    ) -> list[Entry]:
        """Lines of the journal, oldest first."""
        query = sa.select(JOURNAL).where(JOURNAL.c.id > after).order_by(JOURNAL.c.id)
        if serial is not None:
            query = query.where(JOURNAL.c.serial == serial)
        if campaign is not None:
            query = query.where(JOURNAL.c.campaign == campaign)
        with self._engine.connect() as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def policy_document(self, digest: bytes) -> bytes | None:
        """The flow policy with this digest, if a bundle with it was ever used here."""
        query = sa.select(POLICIES.c.content).where(POLICIES.c.digest == digest)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    # Leases

    def lease(self, serial: str, holder: str, lease_ms: int) -> Held | None:
        """Leases a unit; the same holder gets its lease again. None: somebody has it."""
        with self._engine.begin() as connection:
            now = clock_ms(connection)
            until = now + lease_ms
            this = UNITS.c.serial == serial
            again = sa.update(UNITS).where(this, UNITS.c.holder == holder)
            again = again.values(lease_until=until).returning(UNITS.c.token)
            token = connection.execute(again).scalar_one_or_none()
            if token is None:
                free = UNITS.c.holder.is_(None) | (UNITS.c.lease_until < now)
                take = sa.update(UNITS).where(this, free, UNITS.c.state != RETIRED)
                take = take.values(token=UNITS.c.token + 1, holder=holder, lease_until=until)
                token = connection.execute(take.returning(UNITS.c.token)).scalar_one_or_none()
        return None if token is None else Held(self._engine, serial, token, holder, lease_ms)

    # What becomes of them

    def enrol(
        self, held: Held, identity: Identity, endorsement: bytes, name: str | None, key: bytes
    ) -> Device:
        """Binds a unit to its identity and records the endorsement, both or neither.

        Raises StaleTokenError, InventoryError (name taken) and IdentityClashError.
        """
        with held.writing() as connection:
            self._bind(connection, held, identity.instance_id)
            query = sa.select(DEVICES.c.endorsement)
            mine = DEVICES.c.instance_id == identity.instance_id
            known = connection.execute(query.where(mine)).scalar_one_or_none()
            try:
                device = put_device(connection, identity, endorsement, name, int(time.time()))
            except IntegrityError:
                raise name_taken(name or default_name(identity)) from None
            if known != endorsement:
                detail = {"device": identity.instance_id.hex(), "unit": held.serial}
                audit.note(connection, "endorse", device.name, key=key, detail=detail)
        return device

    def _bind(self, connection: sa.Connection, held: Held, instance_id: bytes) -> None:
        this = UNITS.c.serial == held.serial
        free = UNITS.c.instance_id.is_(None) | (UNITS.c.instance_id == instance_id)
        try:
            bound = connection.execute(
                sa.update(UNITS).where(this, free).values(instance_id=instance_id)
            )
        except IntegrityError:
            raise IdentityClashError(
                f"{held.serial}: another board of the fleet has the same identity "
                f"{instance_id.hex()[:16]}...: one is a copy",
                "take both out of service and look at their flash; give one a new secret",
            ) from None
        if bound.rowcount != 1:
            raise IdentityClashError(
                f"{held.serial}: this board was provisioned under another identity",
                "it is another board with this serial number, or its secret was replaced: "
                "coffret fleet retire it first, if that is meant",
            )

    def settle(
        self,
        connection: sa.Connection,
        held: Held,
        state: str,
        why: str | None = None,
        runs: tuple[str, str, bytes] | None = None,
    ) -> None:
        """Sets a unit's state, and what it `runs`: appliance, version, digest of its policy."""
        values: dict[str, object] = {"state": state, "why": why}
        if runs is not None:
            values |= dict(zip(("appliance", "version", "policy"), runs, strict=True))
        connection.execute(sa.update(UNITS).where(UNITS.c.serial == held.serial).values(values))

    def keep_policies(self, connection: sa.Connection, documents: Mapping[bytes, bytes]) -> None:
        """Keeps flow policies by their digests, so that the next update can be compared."""
        for digest, content in documents.items():
            insert = insert_for(connection, POLICIES).values(digest=digest, content=content)
            connection.execute(insert.on_conflict_do_nothing(index_elements=["digest"]))

    def retire(self, unit: Unit) -> None:
        """Takes a unit out of service: its endorsement is withdrawn, and no worker leases it."""
        with self._engine.begin() as connection:
            values = {"state": RETIRED, "holder": None, "token": UNITS.c.token + 1}
            connection.execute(sa.update(UNITS).where(UNITS.c.serial == unit.serial).values(values))
            if unit.instance_id is not None:
                gone = DEVICES.c.instance_id == unit.instance_id
                connection.execute(sa.delete(DEVICES).where(gone))
            device = None if unit.instance_id is None else unit.instance_id.hex()
            audit.note(connection, "retire", unit.name, detail={"device": device})

    def readmit(self, unit: Unit) -> None:
        """Ends a quarantine or a retirement: the next campaign takes the unit again."""
        state = NEW if unit.state == RETIRED or unit.instance_id is None else PROVISIONED
        values: dict[str, object] = {"state": state, "why": None}
        if unit.state == RETIRED:
            values["instance_id"] = None
        with self._engine.begin() as connection:
            connection.execute(sa.update(UNITS).where(UNITS.c.serial == unit.serial).values(values))
            audit.note(connection, "readmit", unit.name, detail={"was": unit.state})


def _unit(row: sa.Row[tuple[object, ...]]) -> Unit:
    facts = dict(row._mapping)
    facts["group"] = facts.pop("group_name")
    facts["settings"] = json.loads(facts["settings"])
    facts.pop("lease_until")
    return Unit(**facts)
