# SPDX-License-Identifier: Apache-2.0
"""How fast workers provision: 1, 2, 5 and 10 of them, each with simulated boards of its own.

The boards speak the real protocol with real keys, and are as slow as a line of 115,200 baud and a
start of one second make them; so waiting dominates, as with real boards, and ten workers on one
computer show what ten computers would do. The database is a real PostgreSQL server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

import attest
from attest import keys
from benchmarks.measure import Measure
from benchmarks.workshop import Workshop

# Boards of each worker, by the number of workers; ten have a thousand together.
BOARDS = {1: 48, 2: 48, 5: 48, 10: 100}


def fleet(workshop: Workshop) -> Iterator[Measure]:
    """Boards a minute by the number of workers, each beside one worker's rate."""
    bundle = workshop.example("hello").folder
    folder = workshop.folder / "fleet"
    folder.mkdir()
    with patch.dict(os.environ, {"COFFRET_KEYS": str(folder / "keys")}):
        keys.create("operator")
        alone = 0.0
        for workers in BOARDS:
            came = _provision(workshop, workers, bundle, folder / f"of-{workers}")
            alone = alone or came.per_minute
            name = f"boards by {workers} worker{'s' * (workers > 1)}"
            rate = round(came.per_minute)
            yield Measure.beside(name, rate, "/min", "one worker", round(alone))
            share = round(1e6 * came.cpu_s / came.boards)
            board_us = round(1e6 * workers * 60 / came.per_minute)
            yield Measure.beside(f"{name}: processor", share, "us/board", "its time", board_us)


@dataclass(frozen=True, slots=True)
class _Came:
    boards: int
    per_minute: float
    cpu_s: float


def _provision(workshop: Workshop, workers: int, bundle: Any, place: Any) -> _Came:
    """One fleet on a server of its own; the simulations belong to the tests: types stop here."""
    gateways: Any = import_module("tests.fleet.gateways")
    check: Any = import_module("tests.fleet.fleets").assert_each_provisioned_once
    server: Any = import_module("tests.postgresql").server
    place.mkdir()
    workshop.say(f"workers: {workers}, simulated boards: {workers * BOARDS[workers]} ...")
    with server(connections=gateways.connections(workers)) as running:
        url = running.database().url("psycopg")
        inventory = attest.open_inventory(url)
        came = gateways.provision(bundle, inventory, url, place, workers, BOARDS[workers])
        check(inventory, came.serials)
        inventory.close()
    return _Came(len(came.serials), came.per_minute, came.cpu_s)
