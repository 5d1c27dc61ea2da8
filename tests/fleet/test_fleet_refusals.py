# SPDX-License-Identifier: Apache-2.0
"""What a fleet refuses, each with one line that names the place and the mend."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flasher.state import runtime_root
from tests.attest.simulated_device import OTHER_OPERATOR
from tests.firmware.builds import HELLO, build_bundle
from tests.fleet.fleets import run, write_fleet
from tests.fleet.simulated_fleet import SimulatedBoard, blank, firmware_of, plugged_in

SERIALS = ("b1", "b2", "b3")


def variant(folder: Path, old: str, new: str) -> Path:
    """A bundle of examples/hello with one text of its manifest replaced."""
    source = folder / "source"
    shutil.copytree(HELLO, source)
    manifest = source / "appliance.toml"
    text = manifest.read_text()
    assert text.count(old) == 1
    manifest.write_text(text.replace(old, new))
    return build_bundle(source, folder).folder


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variant(tmp_path_factory.mktemp("newer"), "1.0.0", "1.1.0")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variant(tmp_path_factory.mktemp("other"), 'name = "hello"', 'name = "other"')


@pytest.fixture
def boards(hello: Path, newer: Path, other: Path, place: Path) -> Iterator[list[SimulatedBoard]]:
    """Three provisioned boards."""
    firmware = firmware_of([hello, newer, other])
    made = [blank(firmware) for _ in SERIALS]
    with ExitStack() as stack:
        for serial, board in zip(SERIALS, made, strict=True):
            stack.enter_context(plugged_in(board, serial, runtime_root()))
        code, out, err = run("provision", write_fleet(place / "f", hello, SERIALS))
        assert code == 0, out + err
        yield made


def test_two_boards_with_one_serial_number(hello: Path, place: Path) -> None:
    file = write_fleet(place / "f", hello, ["b1", "b2", "b1"])
    code, _, err = run("plan", file)
    assert code == 2
    assert "fleet.toml:5: group.all.units: two boards with one serial number: b1" in err


def test_a_bundle_for_another_board(hello: Path, place: Path) -> None:
    file = write_fleet(place / "f", hello, ["b1"], 'board = "rpi-pico"\n')
    code, _, err = run("plan", file)
    assert code == 2
    assert "fleet.toml:4: group.all.bundle: wrong bundle: it is for mps2-an385" in err


def test_a_bundle_whose_image_is_not_signed(hello: Path, place: Path) -> None:
    forged = place / "forged"
    shutil.copytree(hello, forged)
    image = bytearray((forged / "slot_a.bin").read_bytes())
    image[-1] ^= 1  # in the signature
    (forged / "slot_a.bin").write_bytes(image)
    facts = json.loads((forged / "bundle.json").read_text())
    facts["contents"]["slot_a.bin"] = hashlib.sha256(image).hexdigest()
    (forged / "bundle.json").write_text(json.dumps(facts))
    code, _, err = run("provision", write_fleet(place / "f", forged, ["b1"]))
    assert code == 1
    assert "signature" in err
    assert "mend: " in err


def test_a_mistyped_key(hello: Path, place: Path) -> None:
    file = write_fleet(place / "f", hello, ["b1"], "[rollout]\ncanary = 1\n")
    code, _, err = run("plan", file)
    assert code == 2
    assert "fleet.toml:7: rollout.canary: unknown key; did you mean canaries?" in err


def test_a_board_that_another_operator_locked(hello: Path, place: Path) -> None:
    board = blank(firmware_of([hello]))
    board.endorsement = board.device.endorsed_by(OTHER_OPERATOR)
    with plugged_in(board, "b1", runtime_root()):
        code, out, _ = run("provision", write_fleet(place / "f", hello, ["b1"]))
    assert code == 1
    assert "another operator has endorsed this board" in out


def test_an_update_halts_at_its_canary_and_leaves_the_others_alone(
    newer: Path, place: Path, boards: list[SimulatedBoard]
) -> None:
    boards[0].tampered = True
    file = write_fleet(place / "f", newer, SERIALS)
    code, out, _ = run("update", file, "--dry-run", "--json")
    assert [entry["stage"] for entry in json.loads(out)["boards"]] == [0, 2, 3]
    code, out, _ = run("update", file)
    assert code == 1
    assert "halted: 1 of the boards failed" in out
    assert [board.uploads for board in boards] == [2, 1, 1]
    code, _, err = run("update", file)
    assert code == 1
    assert "--resume" in err
    code, out, _ = run("update", file, "--resume")
    assert "2 done" in out
    assert [board.uploads for board in boards] == [2, 2, 2]


def test_an_update_that_widens_the_flows(
    other: Path, place: Path, boards: list[SimulatedBoard]
) -> None:
    file = write_fleet(place / "f", other, SERIALS)
    code, _, err = run("update", file)
    assert code == 1
    assert "group.all.bundle: widens the flows: it is another appliance: other, not hello" in err
    assert "--allow-widening" in err
    assert [board.uploads for board in boards] == [1, 1, 1]

    # Whoever allows it has said so in the audit log, with what it was.
    code, out, err = run("update", file, "--allow-widening")
    assert code == 0, out + err
    assert [board.uploads for board in boards] == [2, 2, 2]
    code, out, _ = run("audit", "--json")
    update = [entry for entry in json.loads(out) if entry["what"] == "update"][-1]
    (allowed,) = update["detail"]["allowed_widenings"].values()
    assert "it is another appliance: other, not hello" in allowed
