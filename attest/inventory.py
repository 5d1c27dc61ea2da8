# SPDX-License-Identifier: Apache-2.0
"""What an operator knows: devices with their endorsements, past verdicts, and nonces.

SQLAlchemy Core over SQLite by default, any other database by URL. Import this module inside the
verb that needs it: SQLAlchemy is slow to load. Times are whole seconds since 1970, UTC.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from attest.appraisal import Challenge, NonceState, Verdict
from attest.endorsement import Identity
from attest.migrations import migrate
from attest.paths import inventory_location
from attest.record import Finding, keep
from attest.response import Response
from attest.tables import ATTESTATIONS, DEVICES, NONCES, STANDINGS
from boards.errors import ENVIRONMENT, USAGE, CoffretError

NONCE_BYTES = 32
NONCE_LIFETIME = 300  # seconds a device has to answer
# PostgreSQL's own guard against a client that stops inside a transaction; each of ours is short.
ABANDONED_AFTER = "idle_in_transaction_session_timeout=10000"  # ms


class InventoryError(CoffretError):
    """The inventory cannot be opened or used."""


@dataclass(frozen=True, slots=True)
class Device:
    """One endorsed device."""

    instance_id: bytes
    name: str
    board: str
    identity_key: bytes
    implementation_id: bytes
    boot_digest: bytes
    endorsement: bytes
    created: int


@dataclass(frozen=True, slots=True)
class Attestation:
    """One recorded verdict. `claims` is the verdict's JSON list."""

    time: int
    verdict: str
    claims: tuple[dict[str, object], ...]
    evidence: bytes


class DeviceRecords(Protocol):
    """Where endorsed devices are recorded: an inventory, or one that a lease fences."""

    def device(self, instance_id: bytes) -> Device | None:
        """The device with this instance id."""

    def add_device(self, identity: Identity, endorsement: bytes, name: str | None = None) -> Device:
        """Records an endorsed device."""


class Inventory:
    """An open inventory; safe to use from several processes at once."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> sa.Engine:
        """The database, for those who keep more in it than this class knows."""
        return self._engine

    @classmethod
    def open(cls, location: str | None = None) -> Inventory:
        """Open or make the inventory at a file path or a database URL. Raises InventoryError."""
        where = location or inventory_location()
        try:
            if "://" not in where:
                path = Path(where).expanduser()
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                where = f"sqlite:///{path}"
            engine = sa.create_engine(_with_driver(where), hide_parameters=True)
            if engine.dialect.name == "sqlite":
                sa.event.listen(engine, "connect", _set_up_sqlite)
            elif engine.dialect.name == "postgresql":
                sa.event.listen(engine, "connect", _set_up_postgresql)
            migrate(engine)
        except (OSError, ImportError, SQLAlchemyError) as error:
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            # A server's error may quote a URL with its password: of that, the type only.
            if isinstance(error, DBAPIError) and where.startswith("sqlite:"):
                reason = f"{where.removeprefix('sqlite:///')}: {error.orig}"
            raise InventoryError(
                f"cannot open the inventory: {reason}",
                "name a file or database URL with --inventory or COFFRET_INVENTORY",
                ENVIRONMENT,
            ) from None
        return cls(engine)

    def close(self) -> None:
        self._engine.dispose()

    # Nonces

    def issue_nonce(self, now: int | None = None) -> bytes:
        """A fresh nonce of NONCE_BYTES, good for one answer within NONCE_LIFETIME seconds."""
        value, at = secrets.token_bytes(NONCE_BYTES), _now(now)
        row = {"value": value, "issued": at, "expires": at + NONCE_LIFETIME}
        with self._begin() as connection:
            connection.execute(sa.insert(NONCES).values(row))
        return value

    def use_nonce(self, value: bytes, now: int | None = None) -> NonceState:
        """Use a nonce up. Only one caller ever gets FRESH for it, whatever runs at once."""
        at = _now(now)
        fresh = (NONCES.c.value == value) & NONCES.c.used.is_(None) & (NONCES.c.expires >= at)
        with self._begin() as connection:
            if connection.execute(sa.update(NONCES).where(fresh).values(used=at)).rowcount == 1:
                return NonceState.FRESH
            row = connection.execute(
                sa.select(NONCES.c.used).where(NONCES.c.value == value)
            ).one_or_none()
        if row is None:
            return NonceState.UNKNOWN
        return NonceState.EXPIRED if row.used is None else NonceState.USED

    def challenge(self, value: bytes, now: int | None = None) -> Challenge:
        """Use a nonce up and say what it was worth, and how old it was."""
        at = _now(now)
        state = self.use_nonce(value, at)
        with self._engine.connect() as connection:
            query = sa.select(NONCES.c.issued).where(NONCES.c.value == value)
            issued = connection.execute(query).scalar_one_or_none()
        return Challenge(value, state, None if issued is None else at - issued)

    # Devices

    def add_device(
        self,
        identity: Identity,
        endorsement: bytes,
        name: str | None = None,
        now: int | None = None,
    ) -> Device:
        """Record an endorsed device; a new endorsement of a known device takes the old one's place.

        Without `name` it keeps its old one, or is called by the start of its instance id. Raises
        InventoryError when another device has the name.
        """
        try:
            with self._begin() as connection:
                return put_device(connection, identity, endorsement, name, _now(now))
        except IntegrityError:
            raise name_taken(name or default_name(identity)) from None

    def device(self, instance_id: bytes) -> Device | None:
        """The device with this instance id."""
        return self._one(DEVICES.c.instance_id == instance_id)

    def find(self, name: str) -> Device | None:
        """The device with this name or instance id (hex)."""
        found = self._one(DEVICES.c.name == name)
        if found is None:
            try:
                found = self.device(bytes.fromhex(name))
            except ValueError:
                return None
        return found

    def devices(self) -> list[Device]:
        """All devices by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(DEVICES).order_by(DEVICES.c.name)).mappings()
            return [_device(dict(row)) for row in rows]

    # Verdicts

    def verdicts(self) -> dict[bytes, str]:
        """The latest verdict on each device that ever reported, by instance id."""
        query = sa.select(STANDINGS.c.instance_id, STANDINGS.c.verdict)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def record(
        self, response: Response, verdict: Verdict, nonce: bytes, now: int | None = None
    ) -> None:
        """Keep a verdict with the evidence it is about."""
        finding = Finding.of(response, response.device(), verdict, nonce, _now(now))
        with self._begin() as connection:
            keep(connection, [finding], notify=False)

    def history(self, instance_id: bytes, limit: int = 20) -> list[Attestation]:
        """The latest verdicts on a device, newest first."""
        query = (
            sa.select(ATTESTATIONS)
            .where(ATTESTATIONS.c.instance_id == instance_id)
            .order_by(ATTESTATIONS.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Attestation(row.time, row.verdict, tuple(json.loads(row.claims)), row.evidence)
            for row in rows
        ]

    def _one(self, condition: sa.ColumnElement[bool]) -> Device | None:
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(DEVICES).where(condition)).mappings().one_or_none()
        return None if row is None else _device(dict(row))

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection


def put_device(
    connection: sa.Connection, identity: Identity, endorsement: bytes, name: str | None, now: int
) -> Device:
    """Record an endorsed device, in the caller's transaction. Raises IntegrityError: name taken."""
    mine = DEVICES.c.instance_id == identity.instance_id
    known = connection.execute(sa.select(DEVICES).where(mine)).mappings().one_or_none()
    row = {
        "instance_id": identity.instance_id,
        "name": name or (known["name"] if known else default_name(identity)),
        "board": identity.board,
        "identity_key": identity.identity_key,
        "implementation_id": identity.implementation_id,
        "boot_digest": identity.boot_digest,
        "endorsement": endorsement,
        "created": known["created"] if known else now,
    }
    if known:
        connection.execute(sa.update(DEVICES).where(mine).values(row))
    else:
        connection.execute(sa.insert(DEVICES).values(row))
    return _device(row)


def default_name(identity: Identity) -> str:
    """What a device is called that nobody named: the start of its instance id."""
    return identity.instance_id[1:7].hex()


def name_taken(name: str) -> InventoryError:
    """Two devices want one name."""
    return InventoryError(f"another device is called {name!r}", "choose another --name", USAGE)


def _with_driver(location: str) -> sa.URL:
    """A plain postgresql:// means pg8000, the driver that is installed with coffret."""
    url = sa.make_url(location)
    return url.set(drivername="postgresql+pg8000") if url.drivername == "postgresql" else url


def _device(row: dict[str, object]) -> Device:
    return Device(**row)  # type: ignore[arg-type]


def _now(now: int | None) -> int:
    return int(time.time()) if now is None else now


def _set_up_postgresql(connection: object, _record: object) -> None:
    """A process frozen inside a transaction loses it, and with that its locks."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"SET {ABANDONED_AFTER}")
    cursor.close()
    connection.commit()  # type: ignore[attr-defined]


def _set_up_sqlite(connection: object, _record: object) -> None:
    """Readers do not block the writer; a writer waits for its turn; acknowledged means on disk."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
