# SPDX-License-Identifier: Apache-2.0
"""Load for `coffret serve`: many simulated devices, real signatures, plain HTTP over real sockets.

Run as a program it is one client process: it reads a `Job` from standard input as JSON and prints
a `Tally` as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from attest import p256, psa_token, response
from attest.evidence import Evidence
from attest.tables import DEVICES
from tests.attest.simulated_device import GOOD, OPERATOR, SimulatedDevice

ROOT = Path(__file__).parents[2]
NEW_SESSION = "/challenge-response/v1/newSession?nonceSize=32"
EVIDENCE = "application/vnd.coffret.evidence+cbor"


def secret_of(number: int) -> bytes:
    """The unique device secret of device `number`."""
    return hashlib.sha256(b"load %d" % number).digest()


def device(number: int) -> SimulatedDevice:
    return replace(GOOD, secret=secret_of(number))


@dataclass(frozen=True, slots=True)
class Ready:
    """A device with everything computed that does not depend on the nonce."""

    instance_id: bytes
    alias: p256.PrivateKey
    certificate: bytes
    claims: Evidence

    @classmethod
    def of(cls, number: int) -> Ready:
        made = device(number)
        claims = made.evidence()
        return cls(claims.instance_id, made.alias, made.certificate, claims)

    def answer(self, nonce: bytes) -> bytes:
        token = psa_token.write(replace(self.claims, nonce=nonce), self.alias)
        return response.pack(response.Response(token, self.certificate))


@dataclass(frozen=True, slots=True)
class Job:
    """What one client process does: it stops after `sessions` or `seconds`, whichever is first."""

    host: str
    port: int
    key: str
    first: int
    devices: int
    connections: int
    seconds: float
    sessions: int = 1 << 30


@dataclass(slots=True)
class Tally:
    """What came of it. `acknowledged` are [result id, nonce (hex), verdict]."""

    seconds: float = 0.0
    lost: int = 0  # no answer, or an error: never acknowledged
    latencies: list[float] = field(default_factory=list)  # seconds, of whole sessions
    acknowledged: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.acknowledged) / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Connection:
    """HTTP/1.1 with keep-alive, as little of it as measuring needs."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._head = f"Host: {job.host}\r\nAuthorization: Bearer {job.key}\r\n"

    async def post(self, path: str, body: bytes, kind: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. Raises OSError or EOFError when the connection ends."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._job.host, self._job.port
            )
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n"
        head += f"Content-Type: {kind}\r\n" if kind else ""
        self._writer.write(head.encode("ascii") + b"\r\n" + body)
        text = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.split("\r\n")[:-2]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        content = await self._reader.readexactly(int(headers["content-length"]))
        return int(first.split(" ")[1]), headers, content

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()
        self._reader = self._writer = None


async def session(connection: Connection, ready: Ready) -> tuple[int, str, str] | None:
    """One challenge-response session; None when the service refused."""
    status, headers, body = await connection.post(NEW_SESSION, b"", "")
    if status != 201:
        return None
    nonce = base64.b64decode(json.loads(body)["nonce"])
    status, _, body = await connection.post(headers["location"], ready.answer(nonce), EVIDENCE)
    if status != 200:
        return None
    said = json.loads(body)["coffret"]
    return said["id"], nonce.hex(), said["verdict"]


async def run(job: Job) -> Tally:
    """All connections at once, each as quickly as it can."""
    devices = [Ready.of(number) for number in range(job.first, job.first + job.devices)]
    tally = Tally()
    began = time.monotonic()
    end = began + job.seconds
    started = 0

    async def client(number: int) -> None:
        nonlocal started
        connection = Connection(job)
        at = number
        while time.monotonic() < end and started < job.sessions:
            started += 1
            at += job.connections
            start = time.perf_counter()
            try:
                done = await session(connection, devices[at % len(devices)])
            except (OSError, EOFError):
                await connection.close()
                tally.lost += 1
                await asyncio.sleep(0.05)
                continue
            if done is None:
                tally.lost += 1
                continue
            tally.latencies.append(time.perf_counter() - start)
            tally.acknowledged.append(done)
        await connection.close()

    await asyncio.gather(*(client(number) for number in range(job.connections)))
    tally.seconds = time.monotonic() - began
    return tally


def in_processes(jobs: list[Job]) -> Tally:
    """Run each job in a process of its own; rates add up, everything else is joined."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.attest.service_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in jobs
    ]
    for process, job in zip(processes, jobs, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(job)))
        process.stdin.close()
    whole = Tally()
    for process in processes:
        assert process.stdout is not None
        part = Tally(**json.loads(process.stdout.read()))
        assert process.wait() == 0
        whole.seconds = max(whole.seconds, part.seconds)
        whole.lost += part.lost
        whole.latencies += part.latencies
        whole.acknowledged += part.acknowledged
    return whole


def enrol(engine: sa.Engine, first: int, count: int, *, real: bool) -> None:
    """Put devices into the inventory: `real` ones with endorsements that verify, others to fill."""
    rows = []
    for number in range(first, first + count):
        rows.append(_real_row(number) if real else _filler_row(number))
        if len(rows) == 1000 or number == first + count - 1:
            with engine.begin() as connection:
                connection.execute(sa.insert(DEVICES).returning(DEVICES.c.instance_id), rows)
            rows = []


def _real_row(number: int) -> dict[str, object]:
    made = device(number)
    facts = made.identity_facts
    return {
        "instance_id": facts.instance_id,
        "name": f"device-{number:06}",
        "board": facts.board,
        "identity_key": facts.identity_key,
        "implementation_id": facts.implementation_id,
        "boot_digest": facts.boot_digest,
        "endorsement": made.endorsed_by(OPERATOR),
        "created": 1_760_000_000,
    }


def _filler_row(number: int) -> dict[str, object]:
    """As many bytes as a real one, which nobody will look into."""
    noise = hashlib.shake_256(b"filler %d" % number).digest(33 + 64 + 300)
    return {
        "instance_id": b"\x01" + noise[1:33],
        "name": f"device-{number:06}",
        "board": GOOD.board,
        "identity_key": noise[33:97],
        "implementation_id": GOOD.identity_facts.implementation_id,
        "boot_digest": GOOD.boot,
        "endorsement": noise[97:],
        "created": 1_760_000_000,
    }


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Job(**json.load(sys.stdin)))))))
