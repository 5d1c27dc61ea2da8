# SPDX-License-Identifier: Apache-2.0
"""MicroPython's own performance tests: the sealed runtime against the stock port, instruction for
instruction.

Sealed: a bundle a program, booted by boot, under the monitor, with a second enclave that wakes up
a hundred times a second. Stock: the same text sent to the raw REPL. Both on the same emulated
Cortex-M3 with a heap of the same size, where an instruction is a nanosecond, so that a clock counts
instructions.
"""

from __future__ import annotations

import math
import re
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boards
from benchmarks.measure import Measure
from benchmarks.stock_port import HEAP, build_stock_port
from benchmarks.workshop import BOARD, Workshop
from firmware.bundle.folder import Bundle
from firmware.compiler.sources import UPSTREAM, find_tree
from flasher.virtual import make_flash

# The parameters that MicroPython's tests/run-perfbench.py would choose for a processor of 100 MHz
# with 100 kB of heap.
_MEGAHERTZ, _KILOBYTES = 100, 100
# Programs that a sealed image refuses, and what for.
REFUSED = {
    "benchrun": "is the driver of the others",
    "bm_hexiom": "prints to a stream",
    "core_import_mpy_multi": "imports from a file system",
    "core_import_mpy_single": "imports from a file system",
}
_PATIENCE_S = 300.0

_MANIFEST = f"""
[appliance]
name = "bench"
version = "1.0.0"
[enclave.bench]
module = "bench.py"
heap = "{HEAP // 1024}K"
stack = "16K"
priority = 5
[enclave.ticker]
module = "ticker.py"
priority = 4
[sink.usb]
accepts = []
[[channel]]
from = "bench"
to = "usb"
size = 8
"""
_TICKER = "import enclave\nwhile True:\n    enclave.sleep_ms(10)\n"

# Files are not opened by what is measured, only by what a person would call afterwards.
_HEAD = "# mypy: ignore-errors\ndef open(*_):\n    raise OSError\n"
_CHOOSE = f"""
_best, _param = (0, 0), None
for _nm, _p in bm_params.items():
    if 10 * _nm[0] <= 12 * {_MEGAHERTZ} and _nm[1] <= {_KILOBYTES} and _nm > _best:
        _best, _param = _nm, _p
_run, _result = bm_setup(_param)
"""
_SEALED_TAIL = """
import enclave, struct, time
_before = time.ticks_us()
_run()
_after = time.ticks_us()
enclave.output("usb").send(struct.pack("<I", time.ticks_diff(_after, _before)))
"""
# CMSDK timer 0 counts down at 25 MHz; a tick is 40 instructions.
_STOCK_TAIL = """
import machine
machine.mem32[0x40000000] = 0
machine.mem32[0x40000008] = 0xffffffff
machine.mem32[0x40000004] = 0xffffffff
machine.mem32[0x40000000] = 1
_before = machine.mem32[0x40000004]
_run()
print("ticks", _before - machine.mem32[0x40000004])
"""


def programs() -> Iterator[Path]:
    """What can be measured on both sides."""
    folder = find_tree(UPSTREAM).path / "tests" / "perf_bench"
    return (path for path in sorted(folder.glob("*.py")) if path.stem not in REFUSED)


def speed(workshop: Workshop) -> Iterator[Measure]:
    """One line a program, and the geometric mean of all ratios (below 1: sealed is faster)."""
    stock = build_stock_port(workshop.means().toolchain, workshop.folder / "stock")
    ratios = []
    for path in programs():
        text = _HEAD + path.read_text() + _CHOOSE
        here = workshop.folder / "speed" / path.stem
        here.mkdir(parents=True)
        (here / "appliance.toml").write_text(_MANIFEST)
        (here / "ticker.py").write_text(_TICKER)
        (here / "bench.py").write_text(text + _SEALED_TAIL)
        sealed = _sealed(workshop.build(here), here)
        found = re.search(r"ticks (\d+)", said := stock.run(text + _STOCK_TAIL))
        assert found, f"{path.name} on the stock port: {said}"
        before = int(found[1]) * 40
        ratios.append(sealed / before)
        yield Measure.beside(f"speed {path.stem}", sealed, "instructions", "stock", before)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    yield Measure("speed, geometric mean", len(ratios), "programs", "stock", round(mean, 4))


def _sealed(bundle: Bundle, folder: Path) -> int:
    """Instructions of the program's run."""
    microseconds: int = struct.unpack("<I", output_of(bundle, folder, length=4))[0]
    return microseconds * 1000


def output_of(bundle: Bundle, folder: Path, length: int) -> bytes:
    """The first `length` bytes of what an appliance sends out by USB when it is started."""
    board = boards.load(BOARD)
    flash, stream = folder / "flash", folder / "stream"
    make_flash(board, flash, bundle.path("slot_a").read_bytes())
    assert board.emulator is not None
    lines = dict.fromkeys(("port", *board.emulator.further), "null")
    command = board.emulator.command(
        boot=str(bundle.path("boot")), flash=str(flash), stream0=f"file:{stream}", **lines
    )
    process = subprocess.Popen([*command, "-icount", "shift=0"], stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _PATIENCE_S
        while not stream.is_file() or len(stream.read_bytes()) < length:
            assert time.monotonic() < until, f"{folder.name} does not end"
            assert process.poll() is None, f"{folder.name}: the emulator ended"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    return stream.read_bytes()[:length]
