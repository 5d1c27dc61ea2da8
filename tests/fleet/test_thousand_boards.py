# SPDX-License-Identifier: Apache-2.0
"""Ten workers and a thousand simulated boards; `./dev bench fleet` tells the rates."""

from __future__ import annotations

from pathlib import Path

import pytest

import attest
from tests.fleet.fleets import assert_each_provisioned_once
from tests.fleet.gateways import connections, provision
from tests.postgresql import server


@pytest.mark.parametrize(
    ("workers", "boards"), [(2, 2), pytest.param(10, 100, marks=pytest.mark.all)]
)
def test_workers_share_a_fleet_and_provision_every_board_once(
    hello: Path, place: Path, workers: int, boards: int
) -> None:
    with server(connections=connections(workers)) as running:
        url = running.database().url("psycopg")
        inventory = attest.open_inventory(url)
        outcome = provision(hello, inventory, url, place, workers, boards)
        assert len(outcome.serials) == workers * boards
        assert_each_provisioned_once(inventory, outcome.serials)
        inventory.close()
