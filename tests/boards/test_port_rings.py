# SPDX-License-Identifier: Apache-2.0
"""No byte waits for ever in the management port, whenever it comes (host build of the driver)."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.host_library import compile_host

SIMULATED = Path(__file__).parent / "simulated_uart"
DRIVER = Path(__file__).parents[2] / "boards/families/common/port_interrupts.c"
LINES = st.lists(st.binary(max_size=700).map(lambda line: line.replace(b"\n", b"") + b"\n"))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    sources = [DRIVER, SIMULATED / "simulated_uart.c"]
    out = tmp_path_factory.mktemp("port") / "driver.so"
    return ctypes.CDLL(str(compile_host(sources, SIMULATED, out, ["-O1", "-shared", "-fPIC"])))


def read(driver: ctypes.CDLL, sent: bytes, gaps: bytes, capacity: int) -> bytes:
    """What a reader of `capacity` bytes at a time has when nobody wakes it any more."""
    out = ctypes.create_string_buffer(len(sent) + 1)
    count: int = driver.simulate(sent, gaps, len(sent), out, capacity)
    return out.raw[:count]


@given(LINES, st.binary(min_size=1, max_size=64), st.integers(1, 300))
def test_every_line_reaches_the_reader(
    driver: ctypes.CDLL, lines: list[bytes], rhythm: bytes, capacity: int
) -> None:
    sent = b"".join(lines)
    gaps = (rhythm * (len(sent) // len(rhythm) + 1))[: len(sent)]
    assert read(driver, sent, gaps, capacity) == sent


def test_the_end_of_a_line_that_comes_while_the_reader_looks(driver: ctypes.CDLL) -> None:
    """The driver takes it from the UART without an interrupt; it must not leave it in the ring."""
    for gap in range(40):
        assert read(driver, b"a\nb\n", bytes([0, 0, gap, gap]), 4) == b"a\nb\n"
