# SPDX-License-Identifier: Apache-2.0
"""Bundles for a Pico 2, read as its boot ROM would: nothing here ran on one.

No package registry has picotool, and no Python package reads these blocks, so the reader below is
our own: the data sheet's rules (section 5.9), apart from `boards.picobin`.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

import boards
from boards.cli import boards as verb
from boards.uf2 import BLOCK, read_uf2
from firmware.appliance.manifest_file import load
from firmware.build import build
from firmware.bundle.folder import Bundle
from flasher.factory import new_board_file
from tests.firmware.builds import HELLO, means

BOARD = boards.load("rpi-pico2")
FLASH, SRAM = range(0x1000_0000, 0x1040_0000), range(0x2000_0000, 0x2008_2000)
DIARY = HELLO.parent / "heart_diary"
HEADER, SEARCHED = struct.pack("<I", 0xFFFF_DED3), 0x1000


@pytest.fixture(
    scope="module",
    params=[HELLO, pytest.param(DIARY, marks=pytest.mark.all)],
    ids=lambda path: path.name,
)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("pico2")
    return build(load(request.param), BOARD, folder / "bundle", means(folder / "work"))


@pytest.fixture(scope="module")
def boot(bundle: Bundle) -> bytes:
    return (bundle.folder / "boot.bin").read_bytes()


def image_definition(image: bytes) -> int:
    """IMAGE_TYPE's flags. Refuses what the ROM would pass over, and more blocks than one."""
    at = image[:SEARCHED].find(HEADER)
    assert at >= 0, "no block within the first 4 KiB"
    assert at % 4 == 0
    assert image.find(HEADER, at + 1) < 0, "a second one, which the ROM might take instead"
    _, item, last, link, footer = struct.unpack_from("<IIIiI", image, at)
    assert (item & 0xFF, item >> 8 & 0xFF) == (0x42, 1), "IMAGE_TYPE, one word"
    assert (last & 0xFF, last >> 8 & 0xFFFF, last >> 24) == (0xFF, 1, 0), "LAST, over one word"
    assert link == 0, "a loop with itself"
    assert footer == 0xAB12_3579
    return int(item >> 16)


def test_the_boot_rom_finds_an_executable_for_the_secure_world(boot: bytes) -> None:
    flags = image_definition(boot)
    assert flags & 0xF == 1  # executable
    assert flags >> 4 & 3 == 2  # security: S
    assert flags >> 8 & 7 == 0  # processor: Arm
    assert flags >> 12 & 7 == 1  # chip: RP2350
    assert flags >> 15 == 0  # no trial before it is bought


def test_an_image_cut_before_its_block_is_none(boot: bytes) -> None:
    at = boot.index(HEADER)
    for cut in (boot[:at], boot[: at + 1] + b"\0" + boot[at + 2 :]):
        with pytest.raises(AssertionError):
            image_definition(cut)


def test_the_rom_enters_boot_by_the_table_at_its_start(boot: bytes) -> None:
    stack, entry = struct.unpack_from("<II", boot)
    memory = BOARD.memory
    assert memory.boot_ram.base < stack <= memory.boot_ram.end
    assert entry & 1
    assert memory.boot.base <= entry < memory.boot.base + len(boot) <= memory.boot.end


def test_boot_has_every_gateway_and_the_watchdogs(boot: bytes) -> None:
    veneers = [boot[0x120 + 8 * number :][:4] for number in range(13)]
    assert veneers[:12] == [bytes.fromhex("7fe97fe9")] * 12  # SG
    assert veneers[12] != veneers[0]


def test_slots_hold_images_linked_for_their_place(bundle: Bundle) -> None:
    for number in (0, 1):
        image = bundle.path(("slot_a", "slot_b")[number]).read_bytes()
        stack, entry = struct.unpack_from("<II", image, 512)
        place = BOARD.slot(number)
        assert place.base < entry < place.base + len(image) <= place.end
        assert BOARD.memory.ram.base < stack <= BOARD.memory.handoff.base


def test_every_memory_is_one_of_the_part() -> None:
    memory, flash = BOARD.memory, BOARD.flash
    assert memory.secure_state is not None
    for place in (memory.ram, memory.boot_ram, memory.secure_state):
        assert place.base in SRAM
        assert place.end - 1 in SRAM
    assert (flash.base, flash.size) == (FLASH.start, len(FLASH))
    assert memory.boot.base == FLASH.start  # where the ROM looks
    parts = (flash.slot_a, flash.slot_b, flash.store, flash.secrets)
    for part in parts:
        place = flash.region(part)
        assert memory.boot.end <= place.base
        assert place.end - 1 in FLASH
    assert max(parts, key=lambda part: part.offset) == flash.secrets


def test_the_drive_gets_boot_and_slot_a_and_no_secret(bundle: Bundle, boot: bytes) -> None:
    data = (bundle.folder / "appliance.uf2").read_bytes()
    first = struct.unpack_from("<8I", data)
    assert first[7] == 0xE48B_FF57  # erratum E10's block, of the absolute family
    file = read_uf2(data[BLOCK:])
    assert file.family == 0xE48B_FF59  # rp2350-arm-s
    slot_a = bundle.path("slot_a").read_bytes()
    flash = BOARD.flash
    found = {segment.address: segment.data for segment in file.segments}
    assert set(found) == {BOARD.memory.boot.base, BOARD.slot(0).base}
    assert found[BOARD.memory.boot.base].rstrip(b"\xff") == boot.rstrip(b"\xff")
    assert found[BOARD.slot(0).base].startswith(slot_a)
    for place in (flash.region(flash.secrets), flash.region(flash.store), BOARD.slot(1)):
        assert all(s.end <= place.base or s.address >= place.end for s in file.segments)


def test_a_new_boards_file_has_a_secret_where_only_boot_reads_it(bundle: Bundle) -> None:
    boot, slot_a = ((bundle.folder / n).read_bytes() for n in ("boot.bin", "slot_a.bin"))
    file = read_uf2(new_board_file(BOARD, boot, slot_a)[BLOCK:])
    secrets = BOARD.flash.region(BOARD.flash.secrets).base
    assert any(s.address <= secrets < s.end for s in file.segments)


def test_the_board_is_shown_as_built_and_never_run() -> None:
    said = CliRunner().invoke(verb, ["show", "rpi-pico2"])
    assert said.exit_code == 0
    assert "built, not run" in said.output
    assert "anything of it: no emulator has this part" in said.output


def test_a_watchdog_of_the_secure_world_needs_one(tmp_path: Path) -> None:
    text = (boards.model.ROOT / "mps2-an385" / "board.toml").read_text(encoding="utf-8")
    path = tmp_path / "board.toml"
    path.write_text(text.replace("[watchdog]", "[watchdog]\nsecure = true"), encoding="utf-8")
    with pytest.raises(boards.BoardError, match=r"watchdog\.secure without"):
        boards.model.load_file(path, "mps2-an385")
