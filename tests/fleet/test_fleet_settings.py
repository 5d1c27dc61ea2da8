# SPDX-License-Identifier: Apache-2.0
"""Settings of a CSV file reach each board before it is secured, and no later."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from flasher.state import runtime_root
from tests.fleet.fleets import run
from tests.fleet.simulated_fleet import SimulatedBoard, blank, firmware_of, plugged_in, provisioned


def _fleet(folder: Path, bundle: Path, table: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "units.csv").write_text(table)
    file = folder / "fleet.toml"
    file.write_text(
        f'[fleet]\nname = "homes"\n[group.all]\nbundle = "{bundle}"\nunits = "units.csv"\n'
        "[retry]\nattempts = 1\n"
    )
    return file


def _boards(hello: Path, serials: str) -> dict[str, SimulatedBoard]:
    firmware = firmware_of([hello])
    return {serial: blank(firmware) for serial in serials.split()}


def test_each_board_gets_its_line_and_keeps_it(hello: Path, place: Path) -> None:
    boards = _boards(hello, "b1 b2 b3")
    for board in boards.values():
        board.settings = ""
    table = "serial,room,target\nb1,attic,19.5\nb2,cellar,\nb3,,\n"
    with ExitStack() as stack:
        for serial, board in boards.items():
            stack.enter_context(plugged_in(board, serial, runtime_root()))
        file = _fleet(place / "f", hello, table)
        code, out, err = run("provision", file)
        assert code == 0, out + err
        held = [board.settings for board in boards.values()]
        assert held == ["room=attic\ntarget=19.5\n", "room=cellar\n", ""]
        assert all(provisioned(board) for board in boards.values())

        # The same again is nothing; another value is refused, for that board alone.
        assert run("provision", file)[0] == 0
        code, out, err = run("provision", _fleet(place / "f", hello, table.replace("attic", "x")))
        assert code == 1, out + err
        assert "b1: failed: " in out
        assert "secured, and its settings are fixed" in out
        assert boards["b1"].settings == "room=attic\ntarget=19.5\n"


def test_a_board_whose_image_reads_no_settings_is_not_secured_without_them(
    hello: Path, place: Path
) -> None:
    board = _boards(hello, "b1")["b1"]
    with plugged_in(board, "b1", runtime_root()):
        code, out, _ = run("provision", _fleet(place / "f", hello, "serial,room\nb1,attic\n"))
    assert code == 1
    assert "reads no settings" in out
    assert not provisioned(board)


def test_a_value_that_no_board_can_hold_is_told_with_its_line(hello: Path, place: Path) -> None:
    table = f"serial,room\nb1,attic\nb2,{'x' * 600}\n"
    code, _, err = run("plan", _fleet(place / "f", hello, table))
    assert code == 2
    assert "units.csv:3: room: the settings take 606 bytes, a board has room for 512" in err
    table = "serial,the room\nb1,attic\n"
    code, _, err = run("plan", _fleet(place / "f", hello, table), "--json")
    assert code == 2
    assert "units.csv:2: the room: 'the room' is no name of a setting" in err
