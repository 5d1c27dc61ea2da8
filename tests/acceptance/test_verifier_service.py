# SPDX-License-Identifier: Apache-2.0
"""A board, a gateway and a verifier service, by commands alone: each judges what it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flasher.bundle import read_bundle
from flasher.run import board_of
from tests.acceptance.conftest import REPOSITORY, User
from tests.attest.running_service import Home, RunningService
from tests.attest.webhook_receiver import Receiver


@dataclass(slots=True)
class OwnKeys(Home):
    """The service with the user's own keys and inventory, as an operator starts it."""

    def arguments(self, more: object = ()) -> list[str]:
        return ["--inventory", self.location, "--keys", str(self.folder / "keys"), *map(str, more)]  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class Site:
    """A running service and the file with a gateway's key."""

    service: RunningService
    receiver: Receiver
    gateway_key: Path
    operator_key: Path


@pytest.fixture(scope="module")
def site(user: User) -> Iterator[Site]:
    for name, rights in (("gateway-1", ["attest"]), ("release", ["provision", "read"])):
        may = [word for right in rights for word in ("--may", right)]
        made = user.coffret("access", "new", name, *may, "--out", user.home / f"{name}.key")
        assert made.code == 0, made.err
    assert user.coffret("keys", "new", "operator").code in (0, 2)  # another test may have it
    location = str(user.home / "inventory.sqlite")
    home = OwnKeys.make(user.home, location)
    with Receiver(user.home) as receiver:
        hook = ("--webhook", receiver.url, "--webhook-secret", receiver.secret)
        with RunningService(home, *hook, "--max-age", "15") as service:
            yield Site(service, receiver, user.home / "gateway-1.key", user.home / "release.key")
    home.inventory.close()


def told(site: Site, device: str, count: int) -> list[str]:
    """The first `count` verdicts that were told of this device; others age meanwhile."""
    patience = time.monotonic() + 60
    while True:
        events = [event["data"] for event in site.receiver.taken]
        verdicts = [data["verdict"] for data in events if data["device"] == device]
        if len(verdicts) >= count:
            return verdicts[:count]
        assert time.monotonic() < patience, verdicts
        time.sleep(0.05)


def test_a_watched_board_is_judged_again_and_again(user: User, hello: Path, site: Site) -> None:
    service = ("--service", site.service.url)
    published = user.coffret("publish", hello, *service, "--access-key", site.operator_key)
    assert published.code == 0, published.err
    watch = ("attest", "--watch", *service, "--access-key", site.gateway_key, "--json")
    with board_of(read_bundle(hello), state=user.home / "watched", root=user.home) as board:
        port = ("--port", board.port)
        done = user.coffret("provision", *port, "--name", "watched", "--json")
        assert done.code == 0, done.err
        device = json.loads(done.out)["device"]
        time.sleep(1.1)  # until the service looks for new reference values
        answer = user.coffret(*watch, *port, "--rounds", "2", "--every", "0.1")
        assert answer.code == 0, answer.err
        seen = [json.loads(line) for line in answer.out.splitlines()]
        assert [each["verdict"] for each in seen] == ["trusted", "trusted"], seen
        assert {each["device"] for each in seen} == {device}
        # What should run is withdrawn: the very same board is not trusted any more.
        with site.service.client() as client:
            shown = client.get(f"/v1/devices/{device}").json()
            assert (shown["name"], shown["reporter"]) == ("watched", "gateway-1")
            (reference,) = client.get("/v1/references").json()
            prefix = "/endorsement-provisioning/v1"
            ids = {"corim-ids": [reference["id"]]}
            assert client.post(f"{prefix}/deactivate", json=ids).status_code == 204
            time.sleep(1.1)
            answer = user.coffret(*watch, *port, "--rounds", "1")
            assert json.loads(answer.out)["verdict"] == "unknown"
            assert client.post(f"{prefix}/activate", json=ids).status_code == 204
            time.sleep(1.1)
        assert json.loads(user.coffret(*watch, *port, "--rounds", "1").out)["verdict"] == "trusted"
        assert told(site, device, 3) == ["trusted", "unknown", "trusted"]
    # The board is switched off. The agent says so and goes on; the service notices the silence.
    off = ("--port", user.home / "switched-off")  # the system may give the old one to others
    answer = user.coffret(*watch, *off, "--rounds", "1")
    assert answer.code == 0
    assert json.loads(answer.out)["verdict"] is None
    assert told(site, device, 4)[-1] == "unknown"


def test_an_agent_ends_when_it_is_told_to(user: User, site: Site) -> None:
    command = [sys.executable, REPOSITORY / "coffret.py", "attest", "--watch"]
    command += ["--service", site.service.url, "--access-key", site.gateway_key]
    command += ["--port", user.home / "no-such-port", "--every", "60"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, env=os.environ)
    assert process.stdout is not None
    assert b"not attested" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_an_agent_without_the_right_says_what_is_missing(
    user: User, hello: Path, site: Site
) -> None:
    command = ("attest", "--watch", "--service", site.service.url, "--rounds", "1")
    with board_of(read_bundle(hello), state=user.home / "unwatched", root=user.home) as board:
        answer = user.coffret(*command, "--access-key", site.operator_key, "--port", board.port)
    assert "may not attest" in answer.out
    assert user.coffret("attest", "--watch").code == 2
