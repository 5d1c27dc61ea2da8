# SPDX-License-Identifier: Apache-2.0
"""Board files: what is known is loaded, what is wrong is named by file and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

import boards
from boards.cli import boards as verb
from boards.config_header import config_header
from boards.host import Host
from boards.model import Board, BoardError, load, load_file

FILE = boards.model.ROOT / "mps2-an385" / "board.toml"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "board.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_every_known_board_loads() -> None:
    assert "mps2-an385" in boards.names()
    for name in boards.names():
        board = boards.load(name)
        assert board.name == name
        assert all(path.is_file() for path in (*board.boot_sources, *board.image_sources))
        assert all(path.is_dir() for path in board.include_directories)
        assert "#define BOARD_CONFIG_H" in config_header(board)


def test_map_is_that_of_the_internals_page() -> None:
    board = boards.load("mps2-an385")
    assert board.slot(0).base == 0x2100_0000
    assert board.slot(1).base == 0x2108_0000
    assert board.flash.region(board.flash.store).base == 0x2110_0000
    assert board.flash.region(board.flash.secrets).base == 0x2118_0000
    assert board.memory.handoff.base == 0x203F_FC00
    assert board.implementation_id == b"coffret/mps2-an385/flash"


def test_boot_and_image_share_all_drivers_but_port_and_lock() -> None:
    board = boards.load("mps2-an385")
    assert {path.name for path in board.boot_sources} - {
        path.name for path in board.image_sources
    } == {"boot_lock.c", "boot_start.c", "port_polled.c"}


def test_unknown_board_names_the_known_ones() -> None:
    with pytest.raises(BoardError, match="no board 'pico'") as error:
        boards.load("pico")
    assert "mps2-an385" in error.value.mend
    with pytest.raises(BoardError):
        boards.load("../boards/mps2-an385")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("clock_hz = 25_000_000", 'clock_hz = "fast"', "clock_hz"),
        ("clock_hz = 25_000_000", "clock_hz = 25_000_000\ncolour = 1", "colour"),
        ("bank_size = 0x2000", "bank_size = 0x2001", "flash.store"),
        ("offset = 0x08_0000", "offset = 0x07_F000", "overlap"),
        ("offset = 0x18_0000", "offset = 0x100_0000", "flash.secrets"),
        ("number = 0", "number = 1", "stream numbers"),
        ("handoff = { base = 0x203F_FC00", "handoff = { base = 0x2040_0000", "handoff"),
        ("handoff = { base = 0x203F_FC00", "handoff = { base = 0x2000_0000", "boot_ram"),
        ("[device.uart2]", "[device.usb]", "share a name"),
        ('root = "flash"', 'root = "hope"', "security.root"),
        ('family = "mps2"', 'family = "mps3"', "boards/families/mps3"),
        ("program_size = ", "program_size = 3 # ", "flash.program_size"),
        ("title = ", "name = 'x'\ntitle = ", "name"),
        ("[mpu]", "[mpu", "line"),
    ],
)
def test_wrong_key_is_named_with_its_file(tmp_path: Path, old: str, new: str, key: str) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(BoardError) as error:
        load_file(path, "mps2-an385")
    assert str(path) in error.value.message
    assert key in error.value.message
    assert error.value.exit_code == 2


def test_emulator_command_fills_every_place() -> None:
    board = boards.load("mps2-an385")
    assert board.emulator is not None
    command = board.emulator.command(
        boot="b.elf", flash="/a,b/nv", port="tcp:x,server=on", stream0="null", uart2="null"
    )
    assert "memory-backend-file,id=nv,size=16M,mem-path=/a,,b/nv,share=on" in command
    assert "tcp:x,server=on" in command
    assert not any("{" in word for word in command)
    with pytest.raises(KeyError):
        board.emulator.command(boot="b.elf")


def test_emulated_flash_is_as_large_as_the_board_says() -> None:
    board = boards.load("mps2-an385")
    assert board.emulator is not None
    assert f"size={board.flash.size >> 20}M" in " ".join(board.emulator.arguments)


def test_verb_prints_one_json_document() -> None:
    result = CliRunner().invoke(verb, ["--json"])
    assert result.exit_code == 0
    assert [entry["name"] for entry in json.loads(result.stdout)] == list(boards.names())
    result = CliRunner().invoke(verb, ["show", "mps2-an385", "--json"])
    document = json.loads(result.stdout)
    board = boards.load("mps2-an385")
    places = {place["name"]: (place["base"], place["size"]) for place in document.pop("memory_map")}
    assert places["slot B"] == (board.slot(1).base, board.slot(1).size)
    assert document.pop("run_on") == "QEMU"
    assert Board.model_validate(document) == board


def test_verb_shows_a_board() -> None:
    result = CliRunner().invoke(verb, ["show", "mps2-an385"])
    assert result.exit_code == 0
    assert "cortex_m3, 25 MHz" in result.stdout
    assert "0x21180000      4 KiB  device secret" in result.stdout
    assert isinstance(CliRunner().invoke(verb, ["show", "x"]).exception, BoardError)


def test_only_the_applications_usb_id_enters_the_image() -> None:
    pico = load("rpi-pico")
    assert {usb_id.mode for usb_id in pico.host.usb_ids} == {"application", "rom"}
    assert "BOARD_USB_PRODUCT 0x0001u" in config_header(pico)
    assert "0x0003u" not in config_header(pico)


@pytest.mark.parametrize(
    ("transports", "facts", "what"),
    [
        (("smp-serial", "uf2"), {}, "uf2_family"),
        (("smp-serial",), {"uf2_label": "DRIVE"}, "uf2_label"),
        (("cmsis-dap",), {}, "probe_target"),
        (("dfu", "dfu"), {}, "twice"),
        (("carrier-pigeon",), {}, "carrier-pigeon"),
    ],
)
def test_facts_of_a_transport_go_with_it(
    transports: tuple[str, ...], facts: dict[str, object], what: str
) -> None:
    with pytest.raises(ValidationError, match=what):
        Host.model_validate({"transports": transports, **facts})


@pytest.mark.parametrize("name", boards.names())
def test_what_nobody_has_shown_is_said_where_the_board_is_shown(name: str) -> None:
    result = CliRunner().invoke(verb, ["show", name])
    for what in boards.load(name).not_shown:
        assert what in result.stdout
