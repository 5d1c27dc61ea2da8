# SPDX-License-Identifier: Apache-2.0
"""DfuSe files: what is written is read back, what is damaged is refused, dfu-suffix accepts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.dfuse import DfuseError, read_dfuse, write_dfuse
from boards.uf2 import Segment

SEGMENTS = st.lists(
    st.builds(Segment, st.integers(0, 0xFFFF_F000), st.binary(max_size=200)), max_size=4
)


@given(SEGMENTS)
def test_what_is_written_is_read_back(segments: list[Segment]) -> None:
    assert read_dfuse(write_dfuse(segments, 0x0483, 0xDF11)) == tuple(segments)


@given(SEGMENTS, st.data())
def test_one_changed_bit_is_refused(segments: list[Segment], data: st.DataObject) -> None:
    file = bytearray(write_dfuse(segments, 0x0483, 0xDF11))
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DfuseError):
        read_dfuse(bytes(file))


@given(st.binary(max_size=400))
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DfuseError):
        read_dfuse(data)


@pytest.mark.skipif(shutil.which("dfu-suffix") is None, reason="dfu-util is not installed")
def test_stock_tool_accepts_the_file(tmp_path: Path) -> None:
    path = tmp_path / "appliance.dfu"
    path.write_bytes(write_dfuse([Segment(0x0800_0000, bytes(1000))], 0x0483, 0xDF11))
    done = subprocess.run(["dfu-suffix", "-c", path], capture_output=True, text=True, check=True)
    for fact in ("Vendor ID:\t0x0483", "Product ID:\t0xDF11", "BCD DFU:\t0x011A"):
        assert fact in done.stdout
