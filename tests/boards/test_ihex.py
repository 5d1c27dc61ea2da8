# SPDX-License-Identifier: Apache-2.0
"""Intel HEX files for a debug probe's drive, read by the format's own rules (Intel, 1988)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import boards
from boards.ihex import write_hex
from boards.uf2 import Segment
from flasher.errors import BadFileError
from flasher.factory import UDS_MAGIC, new_board_file

BOARD = boards.load("microbit-v2")


def content(file: bytes) -> dict[int, int]:
    """Every byte by its address. Records: length, offset, type, data, checksum."""
    memory: dict[int, int] = {}
    upper, ended = 0, False
    for line in file.decode("ascii").splitlines():
        assert line.startswith(":")
        assert not ended, "a record behind the end"
        record = bytes.fromhex(line[1:])
        assert sum(record) & 0xFF == 0, "checksum"
        offset, kind, data = int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert record[0] == len(data)
        if kind == 4:  # extended linear address
            upper = int.from_bytes(data, "big") << 16
        elif kind == 1:
            ended = True
        else:
            assert kind == 0
            for at, byte in enumerate(data, upper + offset):
                assert at not in memory, f"{at:#x}: twice"
                memory[at] = byte
    assert ended
    return memory


@given(st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=300)), max_size=5))
def test_a_file_holds_its_segments_and_nothing_else(parts: list[tuple[int, bytes]]) -> None:
    segments, at = [], 0xFF00  # across a border of 64 KiB
    for gap, data in parts:
        segments.append(Segment(at + gap, data))
        at += gap + len(data)
    expected = {s.address + i: byte for s in segments for i, byte in enumerate(s.data)}
    assert content(write_hex(segments)) == expected


def test_segments_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        write_hex([Segment(0, b"abc"), Segment(2, b"d")])


def test_the_file_for_a_new_board_has_boot_slot_and_a_secret_of_its_own() -> None:
    one, two = (content(new_board_file(BOARD, b"boot", b"image")) for _ in range(2))
    secrets = BOARD.flash.region(BOARD.flash.secrets).base
    found = [bytes(file[secrets + i] for i in range(40)) for file in (one, two)]
    assert all(secret.startswith(UDS_MAGIC) for secret in found)
    assert found[0] != found[1]
    assert bytes(one[i] for i in range(4)) == b"boot"
    slot = BOARD.slot(0).base
    assert bytes(one[slot + i] for i in range(5)) == b"image"
    assert one[BOARD.slot(1).base] == 0xFF


def test_a_board_without_a_drive_says_so() -> None:
    with pytest.raises(BadFileError, match="takes no files on a USB drive"):
        new_board_file(boards.load("mps2-an385"), b"", b"image")
