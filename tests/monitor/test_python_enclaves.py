# SPDX-License-Identifier: Apache-2.0
"""Real enclaves under the real boot: Python that attacks, and Python that must not notice."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import boards
from firmware.appliance.manifest_file import load
from firmware.build import Means, build
from firmware.compiler.sources import find_trees
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.signer import LocalSigner
from flasher.answers import EnclaveState
from flasher.smp import Board, wait_for
from flasher.virtual import VirtualBoard, make_flash
from tests.qemu import needs_qemu

pytestmark = needs_qemu

HERE = Path(__file__).parent
KEY = ec.derive_private_key(0xA77AC4, ec.SECP256R1())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the management port told at the end."""

    texts: list[str]
    enclaves: dict[str, EnclaveState]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(HERE / "appliance", tmp_path_factory.mktemp("appliance"), "missed")


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(HERE / "household", tmp_path_factory.mktemp("household"), "end")


def run(source: Path, directory: Path, last: str) -> Outcome:
    """The appliance on the virtual board until an entry of its log begins with `last`."""
    appliance = directory / "source"
    shutil.copytree(source, appliance)
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (appliance / "alice.pem").write_bytes(pem)
    means = Means(
        toolchain=zig_toolchain(),
        trees=find_trees(),
        signer=LocalSigner(KEY),
        endorse=lambda _: b"",
        work=directory / "work",
        say=lambda _: None,
    )
    board = boards.load("mps2-an385")
    bundle = build(load(appliance), board, directory / "bundle", means)
    state = directory / "state"
    state.mkdir()
    make_flash(board, state / "flash.bin", bundle.path("slot_a").read_bytes())
    with VirtualBoard(board, bundle.path("boot"), state, root=directory) as virtual:
        log = Log(last)
        wait_for(virtual.port, 60, log.complete)
        with Board.open(virtual.port) as link:
            enclaves = {enclave.name: enclave for enclave in link.enclaves().enclaves}
    return Outcome([text for _, text in sorted(log.texts.items())], enclaves)


class Log:
    """Every entry by its number, read as they come: the board keeps the last 2 KiB only."""

    def __init__(self, last: str) -> None:
        self.last = last
        self.texts: dict[int, str] = {}

    def complete(self, link: Board) -> bool | None:
        """Whether the last entry is there."""
        while entries := link.log(len(self.texts))[1]:
            self.texts |= {entry.sequence: entry.text for entry in entries}
        assert list(self.texts) == list(range(len(self.texts))), "entries were lost"
        return any(text.startswith(self.last) for text in self.texts.values()) or None


def test_each_wild_pointer_of_python_is_attributed(outcome: Outcome) -> None:
    faults = [text for text in outcome.texts if text.startswith("fault attacker")]
    assert faults == [
        "fault attacker memory 0x20000900",
        "fault attacker memory 0x20000900",
        "fault attacker memory 0x203ffc00",
        "fault attacker memory 0x21180000",
        "fault attacker memory 0x21000300",
        "fault attacker memory 0x21080000",
        "fault attacker memory 0x40004000",
        "fault attacker memory 0x100",
        "fault attacker memory 0x0",
        "fault attacker bus 0xe000ed94",
        "fault attacker exception",  # recursion: RuntimeError
        "fault attacker out of memory",
        "fault attacker exception",  # ValueError
    ]


def test_others_miss_nothing(outcome: Outcome) -> None:
    assert "missed 0" in outcome.texts
    received = next(text for text in outcome.texts if text.startswith("received"))
    assert int(received.split()[1]) > 100
    assert outcome.enclaves["ticker"].faults == outcome.enclaves["listener"].faults == 0


def test_labelled_enclave_leaves_no_text_in_the_log(outcome: Outcome) -> None:
    assert "fault keeper exception" in outcome.texts
    assert not any("42" in text for text in outcome.texts)


def test_port_tells_what_each_has_used_but_no_time_of_who_holds_secrets(outcome: Outcome) -> None:
    assert all(enclave.memory > 0 for enclave in outcome.enclaves.values())
    assert outcome.enclaves["attacker"].cpu_ms > 0
    assert outcome.enclaves["keeper"].cpu_ms == 0


def test_calls_are_answered_and_a_dead_peer_is_told(household: Outcome) -> None:
    calls = [text for text in household.texts if "total" in text or text == "too long"]
    assert calls == ["total 3", "total 765", "no total 104", "total 5", "too long"]


def test_supervisor_is_told_of_the_fault_and_where_it_was(household: Outcome) -> None:
    assert "guard: adder (16, 1, True, 0)" in household.texts


def test_worker_remembers_nothing_from_one_role_to_the_other(household: Outcome) -> None:
    heard = [text for text in household.texts if text.startswith("mixer")]
    assert [text for text in heard if text.startswith("mixer.one")][-1] == "mixer.one heard c"
    assert all(text.split()[-1] in ("a", "b", "a,b", "c") for text in heard)


def test_summoned_worker_has_one_message_a_life_and_loses_none(household: Outcome) -> None:
    clerk = [text for text in household.texts if text.startswith("clerk")]
    # Two wait, what comes meanwhile is dropped, silently.
    assert household.texts.count("kept True") == 4
    assert clerk[0] == "clerk x 1 0"
    assert all(text.split()[-2] == "1" for text in clerk)
    assert [text for text in clerk if "fault" in text] == [
        "clerk fault 1 0",
        "clerk fault 1 1",
    ]


def test_enclave_knows_what_it_has_used(household: Outcome) -> None:
    account = next(text for text in household.texts if text.startswith("account"))
    assert re.fullmatch(r"account \((24576|32768), True, True, 0, 0\)", account), account


@pytest.mark.all
@pytest.mark.parametrize("apart", [True, False])
def test_role_with_memory_of_its_own_waits_for_no_other_role(
    tmp_path: Path, *, apart: bool
) -> None:
    shutil.copytree(HERE / "shelf", tmp_path / "shelf")
    manifest = tmp_path / "shelf/appliance.toml"
    text = manifest.read_text()
    assert text.count("apart = true") == 1
    manifest.write_text(text.replace("apart = true", f"apart = {str(apart).lower()}"))
    said = run(tmp_path / "shelf", tmp_path, "end").texts
    shelf = [text for text in said if text.startswith("shelf")]
    second = ["shelf.two has go", "shelf.two has on"]
    assert shelf == ["shelf.one has hold", *(second if apart else [])]
