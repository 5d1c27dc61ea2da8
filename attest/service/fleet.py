# SPDX-License-Identifier: Apache-2.0
"""What the service knows of the fleet, for the API and the page: reads only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

import sqlalchemy as sa

from attest.tables import ATTESTATIONS, DEVICES, NOTICES, STANDINGS

LONGEST = 200  # entries of one list
NEVER = "never reported"


class Group(StrEnum):
    """Which devices a list is of."""

    ATTENTION = "attention"  # untrusted first, then unknown
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"
    TRUSTED = "trusted"
    SILENT = "silent"  # endorsed, but never heard of
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Counts:
    """Devices by verdict; `silent` are endorsed devices that never reported."""

    trusted: int
    untrusted: int
    unknown: int
    silent: int

    @property
    def total(self) -> int:
        return self.trusted + self.untrusted + self.unknown + self.silent

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"total": self.total}


@dataclass(frozen=True, slots=True)
class Member:
    """A device in a list. `name` is None for one that was never endorsed."""

    instance_id: bytes
    name: str | None
    board: str | None
    verdict: str
    why: str
    since: int | None
    reported: int | None
    appliance: str | None
    version: str | None
    reporter: str | None

    @property
    def device(self) -> str:
        return self.instance_id.hex()

    def to_json(self) -> dict[str, object]:
        return {
            "device": self.device,
            "name": self.name,
            "board": self.board,
            "verdict": self.verdict,
            "why": self.why,
            "since": self.since,
            "reported": self.reported,
            "appliance": self.appliance,
            "version": self.version,
            "reporter": self.reporter,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """One attestation of the history. `claims` as `attest.record` keeps them."""

    id: int
    instance_id: bytes | None
    time: int
    verdict: str
    claims: tuple[dict[str, object], ...]
    nonce: bytes
    evidence: bytes
    ear: str | None
    reporter: str | None

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "device": None if self.instance_id is None else self.instance_id.hex(),
            "time": self.time,
            "verdict": self.verdict,
            "claims": [
                {key: value for key, value in claim.items() if key != "outcome"}
                for claim in self.claims
            ],
            "nonce": self.nonce.hex(),
            "result": self.ear,
            "reporter": self.reporter,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A change of verdict."""

    time: int
    before: str | None
    verdict: str
    why: str


class Fleet:
    """Queries on the store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def counts(self) -> Counts:
        """How many devices have which verdict."""
        by_verdict = sa.select(STANDINGS.c.verdict, sa.func.count()).group_by(STANDINGS.c.verdict)
        with self._engine.connect() as connection:
            found = {row[0]: row[1] for row in connection.execute(by_verdict)}
            silent = connection.execute(
                sa.select(sa.func.count()).select_from(DEVICES).where(_silent())
            ).scalar_one()
        return Counts(
            trusted=found.get("trusted", 0),
            untrusted=found.get("untrusted", 0),
            unknown=found.get("unknown", 0),
            silent=silent,
        )

    def members(
        self, group: Group, search: str = "", start: int = 0, limit: int = 50
    ) -> list[Member]:
        """A page of a list. `search` begins a name, or an instance id (hex)."""
        query = _listing(group)
        if search:
            query = query.where(_matches(search))
        query = query.offset(start).limit(min(limit, LONGEST))
        with self._engine.connect() as connection:
            return [_member(row) for row in connection.execute(query)]

    def member(self, name: str) -> Member | None:
        """The device with this name or instance id (hex), endorsed or only heard of."""
        exact: sa.ColumnElement[bool] = DEVICES.c.name == name
        if (data := _bytes(name)) is not None:
            exact = exact | (DEVICES.c.instance_id == data)
        with self._engine.connect() as connection:
            row = connection.execute(_known().where(exact).limit(1)).first()
            if row is None and data is not None:
                row = connection.execute(_heard().where(STANDINGS.c.instance_id == data)).first()
        return None if row is None else _member(row)

    def results(
        self, instance_id: bytes, before: int | None = None, limit: int = 20
    ) -> list[Result]:
        """The history of a device, newest first; `before` is the id that the page ends before."""
        query = sa.select(ATTESTATIONS).where(ATTESTATIONS.c.instance_id == instance_id)
        if before is not None:
            query = query.where(ATTESTATIONS.c.id < before)
        query = query.order_by(ATTESTATIONS.c.id.desc()).limit(min(limit, LONGEST))
        with self._engine.connect() as connection:
            return [_result(row) for row in connection.execute(query)]

    def result(self, id: int) -> Result | None:
        query = sa.select(ATTESTATIONS).where(ATTESTATIONS.c.id == id)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _result(row)

    def changes(self, instance_id: bytes, limit: int = 20) -> list[Change]:
        """When its verdict changed, newest first."""
        query = (
            sa.select(NOTICES.c.time, NOTICES.c.before, NOTICES.c.verdict, NOTICES.c.why)
            .where(NOTICES.c.instance_id == instance_id)
            .order_by(NOTICES.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Change(*row) for row in connection.execute(query)]


_OF_DEVICE = (DEVICES.c.instance_id, DEVICES.c.name, DEVICES.c.board)
_OF_STANDING = tuple(
    STANDINGS.c[name]
    for name in ("verdict", "why", "since", "reported", "appliance", "version", "reporter")
)


def _known() -> sa.Select[tuple[object, ...]]:
    """Endorsed devices with what was heard of them."""
    joined = DEVICES.outerjoin(STANDINGS, DEVICES.c.instance_id == STANDINGS.c.instance_id)
    return sa.select(*_OF_DEVICE, *_OF_STANDING).select_from(joined)


def _heard() -> sa.Select[tuple[object, ...]]:
    """Devices that reported, endorsed or not."""
    joined = STANDINGS.outerjoin(DEVICES, DEVICES.c.instance_id == STANDINGS.c.instance_id)
    columns = (STANDINGS.c.instance_id, DEVICES.c.name, DEVICES.c.board)
    return sa.select(*columns, *_OF_STANDING).select_from(joined)


def _listing(group: Group) -> sa.Select[tuple[object, ...]]:
    if group is Group.ALL:
        return _known().order_by(DEVICES.c.name)
    if group is Group.SILENT:
        return _known().where(_silent()).order_by(DEVICES.c.name)
    newest = (STANDINGS.c.since.desc(), STANDINGS.c.instance_id)
    if group is Group.ATTENTION:
        words = ("untrusted", "unknown")
        # "untrusted" comes after "unknown" in the alphabet, so the index gives this order.
        query = _heard().where(STANDINGS.c.verdict.in_(words))
        return query.order_by(STANDINGS.c.verdict.desc(), *newest)
    return _heard().where(STANDINGS.c.verdict == str(group)).order_by(*newest)


def _silent() -> sa.ColumnElement[bool]:
    heard = sa.select(STANDINGS.c.instance_id).where(
        STANDINGS.c.instance_id == DEVICES.c.instance_id
    )
    return ~heard.exists()


def _matches(search: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = DEVICES.c.name.startswith(search, autoescape=True)
    whole = search[: len(search) // 2 * 2]
    if (data := _bytes(whole)) and len(data) <= 33:
        for column in (DEVICES.c.instance_id, STANDINGS.c.instance_id):
            found = found | column.between(data, data + b"\xff" * (34 - len(data)))
    return found


def _bytes(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _member(row: sa.Row[tuple[object, ...]]) -> Member:
    fields = row._mapping
    verdict = fields["verdict"]
    silent = {} if verdict is not None else {"verdict": "unknown", "why": NEVER}
    return Member(**{**fields, **silent})


def _result(row: sa.Row[tuple[object, ...]]) -> Result:
    fields = row._mapping
    return Result(
        id=fields["id"],
        instance_id=fields["instance_id"],
        time=fields["time"],
        verdict=fields["verdict"],
        claims=tuple(json.loads(fields["claims"])),
        nonce=fields["nonce"],
        evidence=fields["evidence"],
        ear=fields["result"],
        reporter=fields["reporter"],
    )
