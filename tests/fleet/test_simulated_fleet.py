# SPDX-License-Identifier: Apache-2.0
"""One computer, simulated boards, the whole command: what becomes of a fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from attest.inventory import Inventory
from tests.fleet.fleets import assert_each_provisioned_once, run, write_fleet
from tests.fleet.simulated_fleet import (
    SimulatedBoard,
    blank,
    firmware_of,
    plugged_in,
    provisioned,
)


@pytest.fixture
def root(place: Path) -> Path:
    from flasher.state import runtime_root  # noqa: PLC0415

    assert place.is_dir()
    return runtime_root()


@pytest.fixture
def three(hello: Path, root: Path) -> Iterator[Sequence[SimulatedBoard]]:
    """Three blank boards, b1 to b3, plugged in."""
    firmware = firmware_of([hello])
    boards = [blank(firmware) for _ in range(3)]
    with ExitStack() as stack:
        for number, board in enumerate(boards, 1):
            stack.enter_context(plugged_in(board, f"b{number}", root))
        yield boards


SERIALS = ("b1", "b2", "b3")


def test_one_command_provisions_attests_and_lists_every_board(
    hello: Path, place: Path, inventory: Inventory, three: Sequence[SimulatedBoard]
) -> None:
    file = write_fleet(place / "f", hello, SERIALS)
    code, out, err = run("provision", file, "--labels", place / "labels" / "*.pdf", "--json")
    assert code == 0, err
    assert json.loads(out)["done"] == list(SERIALS)
    assert all(provisioned(board) for board in three)
    assert_each_provisioned_once(inventory, SERIALS)
    assert (place / "labels" / "b2.pdf").read_bytes().startswith(b"%PDF")
    code, out, _ = run("list", "--format", "csv")
    assert [line.split(",")[0] for line in out.splitlines()] == ["serial", *SERIALS]
    assert out.count("trusted") == 3
    code, out, _ = run("list", "--format", "ndjson")
    assert [json.loads(line)["name"] for line in out.splitlines()] == list(SERIALS)

    # Again: everything is found done, nothing is written.
    code, out, err = run("provision", file)
    assert code == 0, err
    assert [board.uploads for board in three] == [1, 1, 1]
    assert_each_provisioned_once(inventory, SERIALS)


def test_a_board_that_is_not_there_is_named_and_the_others_are_done(
    hello: Path, place: Path, three: Sequence[SimulatedBoard]
) -> None:
    file = write_fleet(place / "f", hello, [*SERIALS, "b9"])
    code, out, _ = run("provision", file, "--wait", "1")
    assert code == 1
    assert "b9: left: it is not at hand: plug it in" in out
    assert all(provisioned(board) for board in three)


def test_two_boards_with_one_identity_are_found_and_quarantined(
    hello: Path, place: Path, root: Path
) -> None:
    firmware = firmware_of([hello])
    board, copy = blank(firmware), blank(firmware)
    copy.device = board.device
    file = write_fleet(place / "f", hello, ["b1", "b2"])
    with plugged_in(board, "b1", root), plugged_in(copy, "b2", root):
        code, out, _ = run("provision", file, "--json")
    assert code == 1
    answer = json.loads(out)
    assert len(answer["done"]) == 1
    (why,) = answer["failed"].values()
    assert "another board of the fleet has the same identity" in why


def test_another_board_under_a_known_serial_number_is_refused(
    hello: Path, place: Path, root: Path
) -> None:
    firmware = firmware_of([hello])
    file = write_fleet(place / "f", hello, ["b1"])
    with plugged_in(blank(firmware), "b1", root):
        assert run("provision", file)[0] == 0
    stranger = blank(firmware)
    (root / "b1" / "lock").unlink()
    (root / "b1").rmdir()
    with plugged_in(stranger, "b1", root):
        code, out, _ = run("provision", file)
    assert code == 1
    assert "another board was provisioned with the serial number b1" in out
    assert not stranger.endorsement


def test_a_board_of_another_kind_is_refused_before_anything_is_written(
    hello: Path, place: Path, root: Path
) -> None:
    board = blank(firmware_of([hello]))
    from dataclasses import replace  # noqa: PLC0415

    board.device = replace(board.device, board="rpi-pico")
    file = write_fleet(place / "f", hello, ["b1"])
    with plugged_in(board, "b1", root):
        code, out, _ = run("provision", file)
    assert code == 1
    assert "b1: failed: b1: wrong board: it is rpi-pico, the bundle is for mps2-an385" in out
    assert board.uploads == 0


def test_an_untrusted_board_goes_into_quarantine_until_it_is_readmitted(
    hello: Path, place: Path, root: Path
) -> None:
    board = blank(firmware_of([hello]))
    board.tampered = True
    file = write_fleet(place / "f", hello, ["b1"])
    with plugged_in(board, "b1", root):
        code, out, _ = run("provision", file)
        assert code == 1
        assert "b1: is not trusted: runtime" in out
        code, out, _ = run("provision", file)
        assert code == 1
        assert "b1: left: in quarantine: b1: is not trusted" in out
        board.tampered = False
        board._restart()
        assert run("readmit", "b1")[0] == 0
        code, out, err = run("provision", file)
        assert code == 0, out + err
        code, out, _ = run("show", "b1", "--json")
    shown = json.loads(out)
    assert shown["state"] == "provisioned"
    assert {"begin", "done", "failed"} == {entry["event"] for entry in shown["journal"]}
    assert run("retire", "b1")[0] == 0
    code, out, _ = run("audit", "--json")
    assert [entry["what"] for entry in json.loads(out)][-3:] == ["readmit", "provision", "retire"]
