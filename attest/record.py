# SPDX-License-Identifier: Apache-2.0
"""Keeps verdicts: the history, the transparency log, each device's standing, and a notice when its
verdict changes.

Everything here works on many at once, inside the caller's transaction: what the caller commits is
all there or not there at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.dialects import postgresql, sqlite

from attest.log import verdict_entry
from attest.log_store import Entry, Log, about_result
from attest.response import Response, pack
from attest.tables import ATTESTATIONS, NONCES, NOTICES, STANDINGS, new_id
from attest.verdict import Claim, Outcome, Verdict

FOREVER = 1 << 62
_WORST_FIRST = (
    "evidence",
    "nonce",
    "age",
    "signature",
    "endorsement",
    "certificate",
    "boot",
    "signing key",
    "lifecycle",
    "flows",
    "policy",
)
TRUSTED = "everything is as expected"


@dataclass(frozen=True, slots=True)
class Finding:
    """One appraised answer. `instance_id` is None when the evidence named no device."""

    id: int
    instance_id: bytes | None
    time: int
    verdict: str
    why: str
    claims: str  # JSON list
    nonce: bytes
    evidence: bytes
    result: str | None = None
    reporter: str | None = None
    appliance: str | None = None
    version: str | None = None

    @classmethod
    def of(
        cls,
        response: Response,
        instance_id: bytes | None,
        verdict: Verdict,
        nonce: bytes,
        at: int,
        **more: str | None,
    ) -> Finding:
        """The finding that a verdict is, at the time `at`; `more` are the optional fields."""
        claims = f"[{','.join(map(_kept, verdict.claims))}]"
        return cls(
            id=new_id(),
            instance_id=instance_id,
            time=at,
            verdict=verdict.verdict,
            why=why(verdict),
            claims=claims,
            nonce=nonce,
            evidence=pack(response),
            **more,
        )


@lru_cache(maxsize=1024)  # most claims of a fleet are the same
def _kept(claim: Claim) -> str:
    """A claim's JSON, as scripts know it, with its outcome, which tells wrong from unchecked."""
    return to_json({**claim.to_json(), "outcome": claim.outcome.value}).decode()


def why(verdict: Verdict) -> str:
    """One sentence for a list: what is worst, or the first thing that could not be checked."""
    if verdict.trusted:
        return TRUSTED
    worst = min((claim for claim in verdict.claims if not claim.ok), key=mildness)
    return f"{worst.claim}: {worst.why}"


def mildness(claim: Claim) -> tuple[bool, int]:
    """For sorting what is not as expected, the worst first: wrong before unchecked, then who
    somebody is before what it runs, and what it lets out before its version.
    """
    kind = claim.claim.partition(":")[0]
    place = _WORST_FIRST.index(kind) if kind in _WORST_FIRST else len(_WORST_FIRST)
    return claim.outcome is not Outcome.WRONG, place


@dataclass(frozen=True, slots=True)
class Use:
    """A nonce to use up. Its row may go once it `expires`, FOREVER if its caller chose it."""

    nonce: bytes
    issued: int
    expires: int
    used: int
    attestation: int | None


def use_nonces(connection: sa.Connection, uses: Sequence[Use]) -> set[bytes]:
    """Use nonces up that were never stored before; returns those that were fresh.

    One statement decides, so each nonce is fresh for one caller only, in whatever process.
    """
    if not uses:
        return set()
    rows = [
        {
            "value": use.nonce,
            "issued": use.issued,
            "expires": use.expires,
            "used": use.used,
            "attestation": use.attestation,
        }
        for _, use in sorted({use.nonce: use for use in reversed(uses)}.items())
    ]  # in one order: no deadlock in PostgreSQL
    insert = insert_for(connection, NONCES).on_conflict_do_nothing(index_elements=["value"])
    return set(_execute(connection, insert.returning(NONCES.c.value), rows))


def keep(connection: sa.Connection, findings: Sequence[Finding], *, notify: bool) -> None:
    """Add findings to the history and to the transparency log, and bring the standings up to them,
    in the order given.

    With `notify` a change of verdict becomes a notice that is due at once. Call it last in a
    transaction: it holds the log until that is committed.
    """
    if not findings:
        return
    insert = sa.insert(ATTESTATIONS).returning(ATTESTATIONS.c.id)
    _execute(connection, insert, [_attestation(each) for each in findings])
    _stand(connection, [each for each in findings if each.instance_id is not None], notify=notify)
    Log(connection).append([_entry(each) for each in findings])


def _stand(connection: sa.Connection, of_devices: Sequence[Finding], *, notify: bool) -> None:
    if not of_devices:
        return
    before = _standings(connection, {each.instance_id or b"" for each in of_devices})
    latest: dict[bytes, dict[str, object]] = {}
    changes: list[dict[str, object]] = []
    for each in of_devices:
        device = each.instance_id or b""
        verdict, since = before.get(device, (None, each.time))
        if verdict != each.verdict:
            since = each.time
            changes.append(_notice(device, each.time, verdict, each.verdict, each.why))
        before[device] = (each.verdict, since)
        latest[device] = _standing(each, since)
    upsert = insert_for(connection, STANDINGS)
    upsert = upsert.on_conflict_do_update(
        index_elements=["instance_id"],
        set_={c.name: upsert.excluded[c.name] for c in STANDINGS.columns if not c.primary_key},
    )
    _execute(
        connection,
        upsert.returning(STANDINGS.c.instance_id),
        [latest[device] for device in sorted(latest)],
    )
    add_notices(connection, changes, notify=notify)


def _entry(finding: Finding) -> Entry:
    content = verdict_entry(finding.verdict, finding.evidence, finding.result, finding.time)
    return Entry(about_result(finding.id), content)


def age(connection: sa.Connection, now: int, max_age: int, *, notify: bool) -> int:
    """Make the standing of every device unknown that has not reported for `max_age` seconds.

    Returns how many aged. Whoever's statement changes a standing writes its notice, so there is
    one, however many processes look.
    """
    stale = (STANDINGS.c.reported < now - max_age) & (STANDINGS.c.verdict != "unknown")
    found = connection.execute(
        sa.select(STANDINGS.c.instance_id, STANDINGS.c.verdict).where(stale).limit(1000)
    ).all()
    silent = "no report for too long: the board or its gateway may be off"
    changes = []
    for instance_id, verdict in found:
        aged = connection.execute(
            sa.update(STANDINGS)
            .where((STANDINGS.c.instance_id == instance_id) & stale)
            .values(verdict="unknown", why=silent, since=now)
        )
        if aged.rowcount == 1:
            changes.append(_notice(instance_id, now, verdict, "unknown", silent))
    add_notices(connection, changes, notify=notify)
    return len(changes)


def add_notices(
    connection: sa.Connection, changes: Iterable[dict[str, object]], *, notify: bool
) -> None:
    """Write changes of verdict down; due for delivery when `notify`."""
    rows = [change | {"due": change["time"] if notify else None} for change in changes]
    if rows:
        connection.execute(sa.insert(NOTICES), rows)


def forget_nonces(connection: sa.Connection, now: int) -> int:
    """Drop nonces whose challenge has expired: it is refused for its age from then on."""
    return connection.execute(sa.delete(NONCES).where(NONCES.c.expires < now)).rowcount


def _standings(
    connection: sa.Connection, devices: set[bytes]
) -> dict[bytes, tuple[str | None, int]]:
    """(verdict, since) by device, locked until the transaction ends where rows can be."""
    query = (
        sa.select(STANDINGS.c.instance_id, STANDINGS.c.verdict, STANDINGS.c.since)
        .where(STANDINGS.c.instance_id.in_(devices))
        .order_by(STANDINGS.c.instance_id)
        .with_for_update()
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def _attestation(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "instance_id": finding.instance_id,
        "time": finding.time,
        "verdict": finding.verdict,
        "claims": finding.claims,
        "nonce": finding.nonce,
        "evidence": finding.evidence,
        "result": finding.result,
        "reporter": finding.reporter,
    }


def _standing(finding: Finding, since: int) -> dict[str, object]:
    return {
        "instance_id": finding.instance_id,
        "verdict": finding.verdict,
        "why": finding.why,
        "since": since,
        "reported": finding.time,
        "attestation": finding.id,
        "appliance": finding.appliance,
        "version": finding.version,
        "reporter": finding.reporter,
    }


def _notice(
    instance_id: bytes, at: int, before: str | None, verdict: str, reason: str
) -> dict[str, object]:
    return {
        "id": new_id(),
        "instance_id": instance_id,
        "time": at,
        "before": before,
        "verdict": verdict,
        "why": reason,
        "attempts": 0,
        "delivered": None,
    }


def _execute(
    connection: sa.Connection, insert: sa.sql.dml.ReturningInsert[Any], rows: list[dict[str, Any]]
) -> list[Any]:
    """Insert many rows in one statement, which SQLAlchemy makes only of one that returns."""
    return list(connection.execute(insert, rows).scalars())


def insert_for(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, which both databases spell alike."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
