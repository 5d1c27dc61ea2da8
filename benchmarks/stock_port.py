# SPDX-License-Identifier: Apache-2.0
"""MicroPython's own port to QEMU, as it is, from the pinned sources and with our compiler.

What we are measured against. Two of its files are replaced, which only GCC compiles
(`stock/start.c`), and nothing is frozen into it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from firmware.compiler.object_cache import Roots
from firmware.compiler.sources import UPSTREAM, Tree, find_tree
from firmware.compiler.toolchain import CORES, CompileJob, Toolchain
from firmware.specialiser.qstrs import generate_headers

_OWN = Path(__file__).parent / "stock"
_LIBC = Path(__file__).parents[1] / "firmware" / "runtime" / "libc"
CORE = CORES["cortex_m3"]

# ports/qemu/Makefile, and boards/MPS2_AN385/mpconfigboard.mk for the board.
HEAP = 143360
_DEFINES = (
    f"MICROPY_HEAP_SIZE={HEAP}",
    'MICROPY_HW_BOARD_NAME="mps2-an385"',
    'MICROPY_HW_MCU_NAME="Cortex-M3"',
    "MICROPY_ROM_TEXT_COMPRESSION=1",
    "MICROPY_USE_INTERNAL_ERRNO=1",
    'FFCONF_H="lib/oofatfs/ffconf.h"',
    "QEMU_SOC_MPS2",
)
_FLAGS = ("-Os", "-include", str(_OWN / "libc.h"))
_SHARED = """
    libc/printf.c libc/string0.c readline/readline.c runtime/gchelper_native.c
    runtime/gchelper_thumb2.s runtime/interrupt_char.c runtime/pyexec.c runtime/stdout_helpers.c
    runtime/sys_stdio_mphal.c
"""
# Of extmod/, what needs no library that is not there; each file is empty unless its switch is on.
_NOT_HERE = ("btree", "bluetooth", "cyw43", "lwip", "network", "nimble", "mbedtls", "axtls", "lfs")


@dataclass(frozen=True, slots=True)
class StockPort:
    """The port, linked. `size` is what it would take of a flash: code, constants and initial data,
    in bytes.
    """

    elf: Path
    size: int

    def run(self, script: str) -> str:
        """What a script prints that is sent to the raw REPL. One instruction is a nanosecond."""
        command = ["qemu-system-arm", "-M", "mps2-an385", "-nographic", "-monitor", "none"]
        command += ["-serial", "stdio", "-icount", "shift=0"]
        command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(self.elf)]
        # Raw REPL on, the script, run it; then leave: machine.reset() ends the emulator.
        said = f"\x01{script}\n\x04import machine\nmachine.reset()\n\x04"
        result = subprocess.run(
            command, input=said.encode(), capture_output=True, timeout=600, check=True
        )
        text = result.stdout.decode(errors="replace")
        return text.partition(">OK")[2].partition("\x04")[0]


def build_stock_port(toolchain: Toolchain, work: Path) -> StockPort:
    """Builds it into `work`."""
    tree = find_tree(UPSTREAM)
    roots = Roots({"micropython": tree.path, "libc": _LIBC, "stock": _OWN, "work": work})
    jobs = list(_jobs(tree, work))
    marked = [job for job in jobs if job.source.suffix == ".c"]
    generate_headers(marked, (), tree, CORE, toolchain, roots, work)
    objects = toolchain.compile(jobs, CORE, roots)
    elf = toolchain.link(objects, _OWN / "stock.ld", work / "stock.elf", CORE)
    with elf.open("rb") as file:
        sections = {each.name: each["sh_size"] for each in ELFFile(file).iter_sections()}
    return StockPort(elf, sections[".text"] + sections[".data"])


def _jobs(tree: Tree, work: Path) -> Iterator[CompileJob]:
    sources = [
        *sorted((tree.path / "py").glob("*.c")),
        *sorted((tree.path / "extmod").glob("*.c")),
        *(tree.path / "shared" / name for name in _SHARED.split()),
        *sorted((tree.path / "lib/libm").glob("*.c")),
        *sorted((tree.path / "ports/qemu").glob("*.c")),
    ]
    includes = (tree.path / "ports/qemu", tree.path, work, _OWN, _LIBC)
    for source in sources:
        unwanted = any(word in source.name for word in _NOT_HERE)
        if not (
            unwanted
            or source.name.startswith("thumb_vfp_")
            or (source.name == "modmachine.c" and source.parent.name == "qemu")
        ):
            yield CompileJob(source, includes, _DEFINES, _FLAGS)
    yield CompileJob(_OWN / "start.c", includes, _DEFINES, (*_FLAGS, "-Wall", "-Wextra"))
