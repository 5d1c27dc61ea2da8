# SPDX-License-Identifier: Apache-2.0
"""UF2 files: ours against the tools of others, and against damage."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from adafruit_uf2 import uf2conv
from hypothesis import given, settings
from hypothesis import strategies as st
from rp2040py.device.load_flash import load_uf2
from rp2040py.rp2040 import RP2040
from smp.image_management import ImageStatesReadRequest, ImageStatesReadResponse

import boards
from boards.uf2 import BLOCK, PAYLOAD, Segment, Uf2Error, read_uf2, write_uf2
from firmware.bundle.folder import Bundle
from flasher.bundle import read_bundle
from flasher.factory import new_board_file, save_new_board_file
from flasher.virtual import UDS_BYTES, UDS_MAGIC
from tests.pico.bench import Bench

BOARD = boards.load("rpi-pico")
FAMILY = 0xE48B_FF56
SECTOR = 4096
BASE = 0x1000_0000


def _oracle(data: bytes) -> bytes:
    """What uf2conv makes of a file: all from its first address on, gaps filled with zeros."""
    with contextlib.redirect_stdout(io.StringIO()):
        found = uf2conv.convert_from_uf2(data)
    return bytes(found)


@st.composite
def _segments(draw: st.DrawFn) -> list[Segment]:
    found, at = [], BASE
    for _ in range(draw(st.integers(1, 4))):
        at += draw(st.integers(0, 3 * SECTOR))
        data = draw(st.binary(min_size=1, max_size=700))
        found.append(Segment(at, data))
        at += len(data)
    return found


@given(_segments())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_what_others_read(segments: list[Segment]) -> None:
    file = write_uf2(segments, FAMILY, SECTOR)
    assert len(file) % BLOCK == 0
    read = read_uf2(file)
    assert read.family == FAMILY
    flat = _oracle(file)
    start = segments[0].address // SECTOR * SECTOR
    assert read.segments[0].address == start
    for segment in segments:
        at = segment.address - start
        assert flat[at : at + len(segment.data)] == segment.data
    for segment in read.segments:
        assert segment.address % SECTOR == 0 == len(segment.data) % SECTOR
        at = segment.address - start
        assert flat[at : at + len(segment.data)] == segment.data


@given(st.binary(min_size=1, max_size=5000))
@settings(max_examples=60, deadline=None)
def test_what_others_write_is_read(data: bytes) -> None:
    uf2conv.appstartaddr, uf2conv.familyid = BASE, FAMILY
    with contextlib.redirect_stdout(io.StringIO()):
        file = bytes(uf2conv.convert_to_uf2(data))
    (segment,) = read_uf2(file).segments
    assert segment.address == BASE
    assert segment.data[: len(data)] == data


@given(st.integers(0, 2 * BLOCK - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_damage_is_noticed_or_lies_in_the_data(position: int, change: int) -> None:
    file = bytearray(write_uf2([Segment(BASE, b"a" * SECTOR)], FAMILY, SECTOR)[: 2 * BLOCK])
    for number in range(2):
        file[number * BLOCK + 24 : number * BLOCK + 28] = (2).to_bytes(4, "little")
    assert len(read_uf2(bytes(file)).segments) == 1
    file[position] ^= change
    inside = position % BLOCK
    harmless = inside >= 32 and inside < 508  # its data, and the room behind it
    if harmless:
        read_uf2(bytes(file))
        return
    try:
        found = read_uf2(bytes(file))
    except Uf2Error:
        return
    # A flag nobody knows, or another place that is aligned as well.
    assert inside in range(8, 12) or (inside in range(12, 16) and len(found.segments) in (1, 2))


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK + 1])
def test_half_blocks_are_refused(size: int) -> None:
    with pytest.raises(Uf2Error):
        read_uf2(write_uf2([Segment(BASE, b"a")], FAMILY, SECTOR)[:size])


def test_overlapping_segments_are_refused() -> None:
    with pytest.raises(Uf2Error, match="overlap"):
        write_uf2([Segment(BASE, bytes(300)), Segment(BASE + 299, b"x")], FAMILY, SECTOR)


def test_bundle_has_boot_and_slot_a_and_no_secret(bundle: Bundle) -> None:
    path = bundle.folder / "appliance.uf2"
    assert "appliance.uf2" in bundle.facts.contents
    file = read_uf2(path.read_bytes())
    assert file.family == FAMILY == BOARD.host.uf2_family
    chip = RP2040()
    load_uf2(path, chip)  # as rp2040py reads it
    boot = (bundle.folder / "boot.bin").read_bytes()
    slot_a = bundle.path("slot_a").read_bytes()
    assert bytes(chip.flash[: len(boot)]) == boot
    offset = BOARD.flash.slot_a.offset
    assert bytes(chip.flash[offset : offset + len(slot_a)]) == slot_a
    secrets = BOARD.flash.region(BOARD.flash.secrets)
    store = BOARD.flash.region(BOARD.flash.store)
    for segment in file.segments:
        for place in (secrets, store):
            assert segment.end <= place.base or segment.address >= place.end
    assert len(path.read_bytes()) // BLOCK * PAYLOAD < 256 * 1024


def test_file_for_a_new_board_has_a_secret_of_its_own(bundle: Bundle, tmp_path: Path) -> None:
    boot = (bundle.folder / "boot.bin").read_bytes()
    slot_a = bundle.path("slot_a").read_bytes()
    found = set()
    for _ in range(2):
        segments = read_uf2(new_board_file(BOARD, boot, slot_a)).segments
        base = BOARD.flash.region(BOARD.flash.secrets).base
        (area,) = [part for part in segments if part.address <= base < part.end]
        secret = area.data[base - area.address :][: len(UDS_MAGIC) + UDS_BYTES]
        assert secret.startswith(UDS_MAGIC)
        found.add(secret)
    assert len(found) == 2
    out = tmp_path / "new.uf2"
    save_new_board_file(read_bundle(bundle.folder), out)
    assert out.stat().st_mode & 0o777 == 0o600


def test_new_board_starts_from_its_file(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "new.uf2"
    save_new_board_file(read_bundle(bundle.folder), out)
    chip = RP2040()
    load_uf2(out, chip)
    flash = tmp_path / "flash.bin"
    flash.write_bytes(bytes(chip.flash[: BOARD.flash.size]))
    bench = Bench(flash)
    bench.run_until(lambda: bench.host.open)
    (image,) = bench.ask(ImageStatesReadRequest(), ImageStatesReadResponse).images
    assert image.active
