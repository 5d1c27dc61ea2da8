# SPDX-License-Identifier: Apache-2.0
"""Killed at random under load: what was acknowledged is there, and no nonce served twice.

A worker that is killed comes back by itself. When the parent is killed the workers must end with
it, and whatever started it (systemd, here the test) starts it again: nothing needs mending first.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from attest import merkle
from attest.log import read_head
from attest.log_store import Log, about_result
from attest.tables import ATTESTATIONS, LOG_ENTRIES, NONCES
from tests.attest.running_service import Home, RunningService
from tests.attest.service_load import Job, Tally, enrol, run
from tests.attest.simulated_device import private_key
from tests.postgresql import Server

DEVICES = 40
KEY = private_key(0x106)  # of heads that only this test reads


def gone(pid: int) -> bool:
    return (
        not Path(f"/proc/{pid}").exists()
        or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    )


def wait_until(true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.02)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.all)])
def test_killed_under_load_it_loses_nothing_and_accepts_nothing_twice(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, kills: int
) -> None:
    location = None
    if store == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        location = server.database().url()
    home = Home.make(tmp_path / "home", location)
    enrol(home.inventory.engine, 0, DEVICES, real=True)
    dice = random.Random(kills)
    stopping = threading.Event()
    tallies: list[Tally] = []

    def told() -> int:
        return sum(len(tally.acknowledged) for tally in tallies)

    def client(service: RunningService) -> None:
        while not stopping.is_set():
            job = Job("127.0.0.1", service.port, home.everything, 0, DEVICES, 4, 1.0)
            tallies.append(asyncio.run(run(job)))

    with RunningService(home, "--workers", "2") as service:
        service.publish()
        thread = threading.Thread(target=client, args=(service,))
        thread.start()
        try:
            for number in range(kills):
                before = told()
                wait_until(lambda least=before + 5: told() >= least, "it does not answer any more")
                time.sleep(dice.uniform(0.0, 1.0))
                workers = service.workers()
                if number % 2 == 1:
                    service.kill_all()
                    for worker in workers:
                        wait_until(partial(gone, worker), "a worker outlived its parent")
                    service.start()
                else:
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    wait_until(lambda: len(service.workers()) == 2, "the worker did not come back")
            before = told()
            wait_until(lambda: told() > before, "it does not answer any more")
        finally:
            stopping.set()
            thread.join()
    check(home, tallies)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_burst_of_sessions_loses_none(
    request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    """`./dev bench service` measures the rate; here only that every one is answered and kept."""
    location = None
    if store == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        location = server.database().url()
    home = Home.make(tmp_path / "home", location)
    enrol(home.inventory.engine, 0, DEVICES, real=True)
    enrol(home.inventory.engine, DEVICES, 2000, real=False)
    with RunningService(home, "--workers", "2") as service:
        service.publish()
        job = Job("127.0.0.1", service.port, home.everything, 0, DEVICES, 32, 3600.0, 400)
        tally = asyncio.run(run(job))
        with service.client() as client:
            counts = client.get("/v1/fleet").json()
    assert tally.lost == 0
    assert len(tally.acknowledged) == 400
    assert (counts["total"], counts["silent"]) == (DEVICES + 2000, 2000)
    check(home, [tally])


def check(home: Home, tallies: list[Tally]) -> None:
    """Every acknowledged result is in the database, and every nonce there once."""
    acknowledged = [each for tally in tallies for each in tally.acknowledged]
    print(f"{len(acknowledged)} sessions acknowledged, {sum(t.lost for t in tallies)} cut off")
    with home.inventory.engine.connect() as connection:
        kept = {
            row.id: (row.nonce.hex(), row.verdict)
            for row in connection.execute(
                sa.select(ATTESTATIONS.c.id, ATTESTATIONS.c.nonce, ATTESTATIONS.c.verdict)
            )
        }
        used = {
            row.value.hex(): row.attestation
            for row in connection.execute(sa.select(NONCES.c.value, NONCES.c.attestation))
        }
        logged = connection.execute(
            sa.select(LOG_ENTRIES.c.about, LOG_ENTRIES.c.content).order_by(LOG_ENTRIES.c.number)
        ).all()
        root = read_head(Log(connection).head(KEY), KEY.public_key()).root
    for id_, nonce, verdict in acknowledged:
        assert kept[id_] == (nonce, verdict), "an acknowledged result is not in the database"
        assert used[nonce] == id_
    times_logged = Counter(entry.about for entry in logged)
    assert {times_logged[about_result(id_)] for id_ in kept} == {1}, "a verdict is not in the log"
    assert root == merkle.root_of([merkle.leaf_hash(entry.content) for entry in logged])
    times = Counter(nonce for nonce, _ in kept.values())
    assert max(times.values()) == 1, "a nonce was accepted twice"
    home.inventory.close()
