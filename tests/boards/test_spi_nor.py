# SPDX-License-Identifier: Apache-2.0
"""The serial NOR driver against QEMU's chip: a W25Q80BL behind the controller of ast1030-evb.

A power cut is the emulator killed; what its file then holds is what the chip held.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firmware.compiler.object_cache import Roots
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from tests.qemu import needs_qemu
from tests.store.host_library import ROOT, RUNTIME

pytestmark = needs_qemu

PROGRAM = Path(__file__).parent / "ast1030"
SIZE, SECTOR, PAGE = 0x10_0000, 0x1000, 0x100
OK, RANGE, NOT_ERASED = 0, 0xFFFF_FFFF, 0xFFFF_FFFE
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ast1030")
    family = ROOT / "boards" / "families" / "aspeed"
    includes = (PROGRAM, family, RUNTIME / "include", RUNTIME / "libc")
    flags = ("-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-builtin")
    sources = (PROGRAM / "program.c", family / "spi_nor.c")
    jobs = [CompileJob(source, includes, flags=flags) for source in sources]
    zig = zig_toolchain()
    objects = zig.compile(jobs, CORES["cortex_m4"], Roots({"coffret": ROOT}))
    out = folder / "program.elf"
    zig.link(objects, PROGRAM / "program.ld", out, CORES["cortex_m4"])
    return out


@pytest.fixture
def chip(tmp_path: Path) -> Path:
    path = tmp_path / "chip.bin"
    path.write_bytes(b"\xff" * SIZE)
    return path


class Bench:
    """The program, that one asks by a line and that answers by a number."""

    def __init__(self, link: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self._link, self._process = link, process
        link.settimeout(PATIENCE_S)
        assert link.recv(1) == b"!"

    def ask(self, what: str, *numbers: int) -> int:
        self.begin(what, *numbers)
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._link.recv(64)
            assert data, "the emulator is gone"
            answer += data
        return int(answer, 16)

    def begin(self, what: str, *numbers: int) -> None:
        """Asks, and does not wait."""
        self._link.sendall((" ".join([what, *(f"{n:x}" for n in numbers)]) + "\n").encode())

    def read(self, offset: int, length: int) -> tuple[int, int]:
        """The sum of the bytes, as the program reads them, and how many are FF."""
        answer = self.ask("R", offset, length)
        return answer >> 12, answer & 0xFFF

    def cut_power(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def running(program: Path, chip: Path) -> Iterator[Bench]:
    ours, theirs = socket.socketpair()
    command = ["qemu-system-arm", "-machine", "ast1030-evb,fmc-model=w25q80bl"]
    command += ["-kernel", str(program), "-display", "none", "-monitor", "none"]
    command += ["-drive", f"if=mtd,format=raw,file={str(chip).replace(',', ',,')}"]
    command += ["-chardev", f"socket,id=line,fd={theirs.fileno()}", "-serial", "chardev:line"]
    with ours, theirs:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
        try:
            yield Bench(ours, process)
            process.terminate()  # it writes its file out; power is cut by `cut_power`
            process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()


def sum_of(fill: int, length: int) -> int:
    return sum((fill + i) & 0xFF for i in range(length))


def test_erased_programmed_and_read_back(program: Path, chip: Path) -> None:
    chip.write_bytes(bytes(SIZE))
    with running(program, chip) as bench:
        assert bench.read(SECTOR, SECTOR) == (0, 0)
        assert bench.ask("E", SECTOR, 2 * SECTOR) == OK
        assert bench.read(SECTOR, PAGE) == (255 * PAGE, PAGE)
        assert bench.read(0, PAGE) == (0, 0), "the sector before is as it was"
        assert bench.read(3 * SECTOR, PAGE) == (0, 0), "so is the one behind"
        # Across a page's border, from the middle of one.
        assert bench.ask("P", SECTOR + 0x80, 0x11, 0x240) == OK
        assert bench.read(SECTOR + 0x80, 0x240)[0] == sum_of(0x11, 0x240)
        assert bench.read(SECTOR, 0x80) == (255 * 0x80, 0x80)
    data = chip.read_bytes()
    assert data[SECTOR + 0x80 :][:0x240] == bytes((0x11 + i) & 0xFF for i in range(0x240))


def test_what_would_set_a_bit_is_refused_and_changes_nothing(program: Path, chip: Path) -> None:
    with running(program, chip) as bench:
        assert bench.ask("P", 0, 0, PAGE) == OK
        assert bench.ask("P", 0, 1, PAGE) == NOT_ERASED
        assert bench.ask("P", 0, 0, PAGE) == OK, "the same again sets nothing"
        assert bench.read(0, PAGE)[0] == sum_of(0, PAGE)


def test_no_operation_leaves_the_chip_or_its_grid(program: Path, chip: Path) -> None:
    with running(program, chip) as bench:
        assert bench.ask("E", SIZE, SECTOR) == bench.ask("E", 4, SECTOR) == RANGE
        assert bench.ask("E", SIZE - SECTOR, 2 * SECTOR) == RANGE
        assert bench.ask("P", SIZE, 0, 4) == bench.ask("P", 2, 0, 4) == RANGE
        assert bench.ask("P", 0xFFFF_FFFC, 0, 8) == RANGE
    assert chip.read_bytes() == b"\xff" * SIZE


@pytest.mark.parametrize("answered", range(4))
def test_power_cut_in_a_rewrite_leaves_whole_pages_and_can_be_done_again(
    program: Path, chip: Path, answered: int
) -> None:
    """Cut while the step behind `answered` ones is on: an erase, or a program of two pages."""
    old = bytes(range(256)) * (SECTOR // 256)
    chip.write_bytes(old + b"\xff" * (SIZE - SECTOR))
    steps = [("E", 0, SECTOR)] + [("P", 2 * PAGE * i, 0x40 + i, 2 * PAGE) for i in range(4)]
    with running(program, chip) as bench:
        for what, *numbers in steps[:answered]:
            assert bench.ask(what, *numbers) == OK
        what, *numbers = steps[answered]
        bench.begin(what, *numbers)
        bench.cut_power()
    left = chip.read_bytes()
    assert left[SECTOR:] == b"\xff" * (SIZE - SECTOR), "nothing else was touched"
    for at in range(0, SECTOR, PAGE):
        fill = 0x40 + at // (2 * PAGE)
        new = bytes((fill + at % (2 * PAGE) + i) & 0xFF for i in range(PAGE))
        assert left[at : at + PAGE] in (old[at : at + PAGE], b"\xff" * PAGE, new)
    with running(program, chip) as bench:
        for what, *numbers in steps:
            assert bench.ask(what, *numbers) == OK
        assert bench.read(0, 2 * PAGE)[0] == sum_of(0x40, 2 * PAGE)
