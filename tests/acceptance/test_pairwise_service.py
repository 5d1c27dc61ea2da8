# SPDX-License-Identifier: Apache-2.0
"""One real board, its operator's gateway, and the services of two relying parties, by commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest.service.access import Right
from flasher.bundle import read_bundle
from flasher.run import board_of as switched_on
from tests.acceptance.conftest import EXAMPLES, Answer, User
from tests.attest.running_service import Home, RunningService

pytestmark = pytest.mark.all

BANK, CLINIC = "https://bank.example", "clinic"


@dataclass(frozen=True, slots=True)
class Party:
    """A relying party: its name, its running service, and the access key it gave the gateway."""

    name: str
    service: RunningService
    key: Path


@dataclass(frozen=True, slots=True)
class Gateway:
    """The operator's computer with a board at its port."""

    user: User
    bundle: Path
    port: str
    device: str

    def watch(self, party: Party, name: str, rounds: int = 1, port: str = "") -> Answer:
        return self.user.coffret(
            *("attest", "--watch", "--port", port or self.port, "--bundle", self.bundle),
            *("--service", party.service.url, "--access-key", party.key, "--pairwise", name),
            *("--rounds", str(rounds), "--every", "0.1", "--json"),
        )


def party(home_of_all: Path, operator: User, name: str, folder: str) -> RunningService:
    home = Home.make(home_of_all / folder)
    for role in ("operator", "signing"):
        home.files[role].write_text(operator.coffret("keys", "public", role).out)
    return RunningService(home, "--pairwise", name)


@pytest.fixture(scope="module")
def gateway(user: User) -> Iterator[Gateway]:
    said = 'version = "1.0.0"'
    source = user.variant("paired", said, f"{said}\npairwise = true", EXAMPLES / "hello")
    bundle = user.build(source, "paired")
    with switched_on(read_bundle(bundle), state=user.home / "paired-board", root=user.home) as on:
        done = user.coffret("provision", "--port", on.port, "--name", "paired", "--json")
        assert done.code == 0, done.err
        yield Gateway(user, bundle, on.port, json.loads(done.out)["device"])


@pytest.fixture(scope="module")
def parties(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Party, Party]]:
    homes = tmp_path_factory.mktemp("parties")
    bank = party(homes, gateway.user, BANK, "bank")
    clinic = party(homes, gateway.user, CLINIC, "clinic")
    with bank, clinic:
        made = []
        for name, service in ((BANK, bank), (CLINIC, clinic)):
            key = service.home.folder / "gateway.key"
            key.touch(0o600)
            key.write_text(service.home.access("gateway", Right.ATTEST, Right.PROVISION))
            words = ("--service", service.url, "--access-key", key)
            published = gateway.user.coffret("publish", gateway.bundle, *words)
            assert published.code == 0, published.err
            made.append(Party(name, service, key))
        yield made[0], made[1]


def seen(answer: Answer) -> list[dict[str, str]]:
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_each_party_trusts_the_board_under_a_name_of_its_own(
    gateway: Gateway, parties: tuple[Party, Party]
) -> None:
    names = []
    for each in parties:
        rounds = seen(gateway.watch(each, each.name, rounds=2))
        assert [one["verdict"] for one in rounds] == ["trusted", "trusted"], rounds
        assert rounds[0]["device"] == rounds[1]["device"]
        names.append(rounds[0]["device"])
        with each.service.client() as client:
            (listed,) = client.get("/v1/devices?group=trusted").json()
        assert (listed["device"], listed["name"]) == (names[-1], None)
    assert len({*names, gateway.device}) == 3


def test_nothing_of_the_board_is_in_what_a_party_has_on_its_disk(
    gateway: Gateway, parties: tuple[Party, Party]
) -> None:
    device = bytes.fromhex(gateway.device)
    for each in parties:
        assert seen(gateway.watch(each, each.name))[0]["verdict"] == "trusted"
        files = [path for path in each.service.home.folder.rglob("*") if path.is_file()]
        assert any(path.name == "inventory.sqlite" for path in files)
        for path in files:
            content = path.read_bytes()
            assert device[1:] not in content and gateway.device.encode() not in content, path
        assert gateway.device not in json.dumps(each.service.lines)


def test_a_service_cannot_have_the_name_of_another(
    gateway: Gateway, parties: tuple[Party, Party]
) -> None:
    bank, _ = parties
    answer = gateway.watch(bank, CLINIC)
    assert answer.code == 2
    assert f"calls itself {BANK}, not {CLINIC}" in answer.err


def test_a_board_that_is_not_trusted_is_shown_to_nobody(
    gateway: Gateway, parties: tuple[Party, Party], hello: Path
) -> None:
    bank, _ = parties
    other = Gateway(
        gateway.user, hello, gateway.port, gateway.device
    )  # another bundle than it runs
    (one,) = seen(other.watch(bank, BANK))
    assert one["verdict"] is None
    assert "is not trusted" in one["why"]


def test_evidence_that_names_the_board_is_refused_by_such_a_service(
    gateway: Gateway, parties: tuple[Party, Party]
) -> None:
    bank, _ = parties
    (one,) = seen(
        gateway.user.coffret(
            *("attest", "--watch", "--port", gateway.port, "--rounds", "1", "--json"),
            *("--service", bank.service.url, "--access-key", bank.key),
        )
    )
    assert one["verdict"] is None
    assert "not a pairwise identity" in one["why"]
