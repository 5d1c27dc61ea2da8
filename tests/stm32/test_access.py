# SPDX-License-Identifier: Apache-2.0
"""Loads and stores are read as the assembler means them."""

from __future__ import annotations

from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from firmware.compiler.object_cache import Roots
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from flasher.stm32.access import Access, access_of, status_after

REGISTERS = [0x1000 * number for number in range(16)]

# As the assembler writes it: store, bytes, register, address; None: not an access that is known.
CASES: dict[str, tuple[bool, int, int, int] | None] = {
    "str r1, [r2, #4]": (True, 4, 1, 0x2004),
    "ldr r2, [r2, #124]": (False, 4, 2, 0x207C),
    "strh r3, [r4, #6]": (True, 2, 3, 0x4006),
    "ldrh r3, [r4, #62]": (False, 2, 3, 0x403E),
    "strb r7, [r0, #31]": (True, 1, 7, 31),
    "ldrb r7, [r1]": (False, 1, 7, 0x1000),
    "str r1, [r2, r3]": (True, 4, 1, 0x5000),
    "ldr r1, [r2, r3]": (False, 4, 1, 0x5000),
    "strb r1, [r2, r3]": (True, 1, 1, 0x5000),
    "ldrh r1, [r2, r3]": (False, 2, 1, 0x5000),
    "str.w r9, [r10, #0x123]": (True, 4, 9, 0xA123),
    "ldr.w r11, [r8, #0xffc]": (False, 4, 11, 0x8FFC),
    "strb.w r12, [r1, #1]": (True, 1, 12, 0x1001),
    "ldrh.w r12, [r1, #2]": (False, 2, 12, 0x1002),
    "str r1, [r2, #-8]": (True, 4, 1, 0x1FF8),
    "ldr.w r1, [r9, r3, lsl #2]": (False, 4, 1, 0x9000 + 0xC000),
    "str r1, [r2], #4": None,
    "ldr r1, [r2, #4]!": None,
    "strd r0, r1, [r2]": None,
    "ldrsb r1, [r2, r3]": None,
    "push {r4, lr}": None,
    "stmia r1!, {r2, r3}": None,
    "nop": None,
    "b.w .": None,
}


@pytest.mark.parametrize("line", CASES)
def test_access_is_what_the_assembler_means(line: str, tmp_path: Path) -> None:
    source = tmp_path / "line.S"
    source.write_text(f".syntax unified\n.thumb\n{line}\nmovs r0, #0\nmovs r0, #0\n")
    job = CompileJob(source)
    (made,) = zig_toolchain().compile([job], CORES["cortex_m4"], Roots({"test": tmp_path}))
    with made.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section is not None
        code = section.data()
    expected = CASES[line]
    found = access_of(code[:4], REGISTERS)
    assert found == (expected and Access(*expected, length=len(code) - 4))


def test_it_block_moves_on() -> None:
    # ITTE NE (DDI 0403, table 7-1): 0001 0 1 1 0 -> 0001 0110 -> 0000 11 00 ...
    thumb = 1 << 24

    def status(state: int) -> int:
        return thumb | (state & 3) << 25 | (state & 0xFC) << 8

    assert status_after(thumb) == thumb
    assert status_after(status(0b00010110)) == status(0b00001100)
    assert status_after(status(0b00001100)) == status(0b00011000)
    assert status_after(status(0b00011000)) == thumb
