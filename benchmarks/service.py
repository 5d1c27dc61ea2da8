# SPDX-License-Identifier: Apache-2.0
"""`coffret serve` under load: whole challenge-response sessions over HTTP, every signature real.

Each figure is taken in one run beside what it is to be read against: the rate with a full store
beside that with a small one, and beside what this machine's processor does in bare signature
verifications, three of which a session needs. Client, service and database share the machine.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attest.tables import ATTESTATIONS, DEVICES, NONCES, STANDINGS, new_id
from benchmarks.measure import Measure
from benchmarks.workshop import Workshop
from tests.attest.running_service import Home, RunningService
from tests.attest.service_load import Job, Tally, enrol, in_processes
from tests.postgresql import server

REAL = 1_000  # devices that report
FULL = 100_000  # devices in the full store
SECONDS = 10.0
CLIENTS = 2  # processes
CONNECTIONS = 32  # of each
SIGNATURES = 3  # verified for a session: token, certificate, endorsement
_HERTZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """What a stretch of load showed. `cpu` is of the service alone, seconds a session."""

    tally: Tally
    cpu: float
    missing: int  # acknowledged, but not in the database


def service(workshop: Workshop) -> Iterator[Measure]:
    """Both databases, small and full."""
    verification = _bare_verification()
    for name, workers in (("SQLite", 1), ("PostgreSQL", 2)):
        with ExitStack() as stack:
            location = None
            if name == "PostgreSQL":
                location = stack.enter_context(server(durable=True)).database().url()
            home = Home.make(workshop.folder / f"service-{name}", location)
            yield from _measure(name, workers, home, verification)
            home.inventory.close()


def _measure(name: str, workers: int, home: Home, verification: float) -> Iterator[Measure]:
    engine = home.inventory.engine
    enrol(engine, 0, REAL, real=True)
    with RunningService(home, "--workers", str(workers)) as running:
        running.publish()
        time.sleep(1.1)  # until the workers look for new reference values
        small = _load(running, home)
        enrol(engine, REAL, FULL - REAL, real=False)
        _give_a_past(engine)
        full = _load(running, home)
    rate, before = round(full.tally.rate), round(small.tally.rate)
    yield Measure.beside(
        f"sessions, {FULL:,} devices, {name}", rate, "/s", f"{REAL:,} devices", before
    )
    ninety_nine, half = (round(1000 * full.tally.percentile(share)) for share in (0.99, 0.5))
    yield Measure.beside(f"99th percentile, {name}", ninety_nine, "ms", "median", max(1, half))
    yield Measure.beside(
        f"processor for a session, {name}",
        round(1e6 * full.cpu),
        "us",
        f"{SIGNATURES} bare verifications",
        round(1e6 * SIGNATURES * verification),
    )
    yield Measure.beside(
        f"processor, {FULL:,} devices, {name}",
        round(1e6 * full.cpu),
        "us",
        f"{REAL:,} devices",
        round(1e6 * small.cpu),
    )
    lost = small.tally.lost + full.tally.lost + small.missing + full.missing
    sessions = len(small.tally.acknowledged) + len(full.tally.acknowledged)
    yield Measure.beside(f"sessions lost, {name}", lost, "", "sessions", sessions)


def _load(running: RunningService, home: Home) -> Load:
    share = REAL // CLIENTS
    jobs = [
        Job(
            host="127.0.0.1",
            port=running.port,
            key=home.everything,
            first=number * share,
            devices=share,
            connections=CONNECTIONS,
            seconds=SECONDS,
        )
        for number in range(CLIENTS)
    ]
    before = _cpu(running)
    tally = in_processes(jobs)
    used = _cpu(running) - before
    return Load(tally, used / len(tally.acknowledged), _missing(home.inventory.engine, tally))


def _cpu(running: RunningService) -> float:
    """Seconds of processor that the workers have used."""
    ticks = 0
    for worker in running.workers():
        fields = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime: proc(5)
    return ticks / _HERTZ


def _missing(engine: sa.Engine, tally: Tally) -> int:
    """How many acknowledged results are not in the database as they were acknowledged."""
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(NONCES.c.value, NONCES.c.attestation, ATTESTATIONS.c.verdict).join(
                ATTESTATIONS, ATTESTATIONS.c.id == NONCES.c.attestation
            )
        )
        kept = {row[0].hex(): (row[1], row[2]) for row in rows}
    return sum(kept.get(nonce) != (id_, verdict) for id_, nonce, verdict in tally.acknowledged)


def _give_a_past(engine: sa.Engine) -> None:
    """One report of the past for every device, of the size that real ones have."""
    with engine.connect() as connection:
        devices = list(connection.execute(sa.select(DEVICES.c.instance_id)).scalars())
        heard = set(connection.execute(sa.select(STANDINGS.c.instance_id)).scalars())
        like = connection.execute(sa.select(ATTESTATIONS).limit(1)).one()._mapping
    at = int(time.time()) - 60
    for start in range(0, len(devices), 1000):
        rows = [
            dict(like) | {"id": new_id(), "instance_id": device, "time": at}
            for device in devices[start : start + 1000]
        ]
        standings = [
            {
                "instance_id": row["instance_id"],
                "verdict": row["verdict"],
                "why": json.dumps(row["verdict"]),
                "since": at,
                "reported": at,
                "attestation": row["id"],
            }
            for row in rows
            if row["instance_id"] not in heard
        ]
        with engine.begin() as connection:
            connection.execute(sa.insert(ATTESTATIONS).returning(ATTESTATIONS.c.id), rows)
            if standings:
                connection.execute(
                    sa.insert(STANDINGS).returning(STANDINGS.c.instance_id), standings
                )


def _bare_verification() -> float:
    """Seconds of processor for one ES256 verification with `cryptography`."""
    key = ec.generate_private_key(ec.SECP256R1())
    message, algorithm = os.urandom(400), ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(message, algorithm), key.public_key()
    count = 2000
    began = time.process_time()
    for _ in range(count):
        public.verify(signature, message, algorithm)
    return (time.process_time() - began) / count
