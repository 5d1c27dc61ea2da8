# SPDX-License-Identifier: Apache-2.0
"""Our emulated Cortex-M0+ against rp2040py's, written apart from it, and the manual's rules."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

rp2040py = pytest.importorskip("rp2040py")

from rp2040py.rp2040 import RP2040  # noqa: E402
from rp2040py.utils.logging import ConsoleLogger, LogLevel  # noqa: E402

from flasher.pico.processor import Processor, Stop  # noqa: E402

RAM, RAM_SIZE, ROM_SIZE = 0x2000_0000, 0x4_2000, 0x4000
CODE = RAM + 0x1000
STACK = RAM + 0x2_0000
HANDLER = RAM + 0x3000
READ_FLAGS = bytes.fromhex("eff30080")  # mrs r0, apsr
WRITE_FLAGS = bytes.fromhex("80f30088")  # msr apsr, r0
SPIN = bytes.fromhex("fee7")  # b .

# Shifts by a register: rp2040py takes any amount for one between 1 and 32 when it makes the carry.
SHIFTS_BY_REGISTER = {0x4080 >> 6, 0x40C0 >> 6, 0x4100 >> 6, 0x41C0 >> 6}


# ADCS: rp2040py adds the carry to one operand first, and judges the overflow by that sum.
ADD_WITH_CARRY = 0x4140 >> 6


@dataclass(slots=True)
class Rig:
    """Our processor, with a ROM whose every vector is a loop at HANDLER; rp2040py's beside it."""

    ours: Processor
    ram: bytearray
    theirs: RP2040
    touched: list[int]  # peripherals that ours asked for

    def put(self, address: int, data: bytes) -> None:
        for memory in (self.ram, self.theirs.sram):
            memory[address - RAM : address - RAM + len(data)] = data

    def step(self, registers: tuple[int, ...]) -> tuple[int, ...]:
        self.ours.set_registers(registers)
        self.ours.run(self.ours.cycles + 1)
        return self.ours.registers


@pytest.fixture(scope="module")
def rig() -> Rig:
    ram, flash, usb = bytearray(RAM_SIZE), bytearray(0x1000), bytearray(0x1000)
    vectors = [STACK] + [HANDLER | 1] * 47
    rom = b"".join(word.to_bytes(4, "little") for word in vectors).ljust(ROM_SIZE, b"\0")
    touched: list[int] = []

    def read(address: int, _size: int) -> int:
        touched.append(address)
        return 0

    ours = Processor(
        rom,
        memoryview(flash),
        memoryview(ram),
        memoryview(usb),
        read,
        lambda address, _size, _value: touched.append(address),
    )
    theirs = RP2040()
    theirs.logger = ConsoleLogger(LogLevel.ERROR)
    theirs.load_bootrom([int.from_bytes(rom[i : i + 4], "little") for i in range(0, ROM_SIZE, 4)])
    rig = Rig(ours, ram, theirs, touched)
    rig.put(HANDLER, SPIN)
    return rig


def _value(chance: random.Random) -> int:
    match chance.randrange(5):
        case 0 | 1:
            return RAM + 0x1_0000 + 4 * chance.randrange(0x1000)
        case 2:
            return chance.choice((0, 1, 0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF, 31, 32, 33, 64, 255))
        case _:
            return chance.getrandbits(32)


def _instruction(chance: random.Random) -> tuple[int, int] | None:
    """One instruction and its second half; None: not one of those that are compared."""
    op, second = chance.getrandbits(16), 0
    if op >> 11 == 0b11110:
        second = chance.getrandbits(16) | 0xD000  # BL
    undefined_or_system = (
        op >> 11 in (0b11101, 0b11111)
        or op >> 9 == 0b1101111  # UDF, SVC
        or op >> 8 in (0xBE, 0xBF, 0xB6)  # BKPT, hints, CPS
        or op >> 8 in (0x47, 0xBD)  # BX, BLX, POP {pc}: rp2040py does not look at the lowest bit
        or op >> 6 in SHIFTS_BY_REGISTER
        or (
            op >> 11 == 0b11000 and op >> (op >> 8 & 7) & 1
        )  # STM of its own base: no write-back there
    )
    return None if undefined_or_system else (op, second)


@pytest.mark.parametrize("seed", range(4))
def test_every_instruction_does_what_rp2040py_does(rig: Rig, seed: int) -> None:
    chance = random.Random(seed)
    compared = 0
    for _ in range(4000):
        chosen = _instruction(chance)
        if chosen is None:
            continue
        op, second = chosen
        flags = chance.getrandbits(4) << 28
        values = [*(_value(chance) for _ in range(13)), STACK - 8 * chance.randrange(64), CODE | 1]
        rig.put(CODE - 4, WRITE_FLAGS + op.to_bytes(2, "little") + second.to_bytes(2, "little"))
        rig.ours.reset()
        rig.step((flags, *values[1:], CODE - 4))
        faults = rig.ours.faults
        ours = rig.step((*values, CODE))
        if rig.ours.faults != faults or rig.touched:
            # There are no faults in rp2040py, and its peripherals are not ours here.
            rig.theirs.sram[:] = bytes(rig.ram)
            rig.touched.clear()
            continue
        core = rig.theirs.core
        core.reset()
        for number, value in enumerate((*values, CODE)):
            core.registers[number] = value
        core.apsr = flags
        core.execute_instruction()
        assert bytes(rig.ram) == bytes(rig.theirs.sram), f"{op:04x}: memory"
        assert ours == tuple(core.registers), f"{op:04x} {second:04x} {[hex(v) for v in values]}"
        rig.put(CODE + 8, READ_FLAGS)
        after = rig.step((*ours[:15], CODE + 8))[0]
        compared += 1
        if op >> 6 == ADD_WITH_CARRY and values[op & 7] in (0x7FFF_FFFF, 0xFFFF_FFFF):
            continue
        assert after == core.apsr & 0xF000_0000, f"{op:04x} {[hex(v) for v in values]}: flags"
    assert compared > 1500


def _run(
    rig: Rig, code: str, registers: dict[int, int] | None = None, steps: int = 1
) -> tuple[int, ...]:
    data = bytes.fromhex(code)
    rig.put(CODE, data)
    rig.ours.reset()
    values = [0] * 16
    values[13], values[15] = STACK, CODE
    for number, value in (registers or {}).items():
        values[number] = value
    rig.ours.set_registers(tuple(values))
    for _ in range(steps):
        rig.ours.run(rig.ours.cycles + 1)
    return rig.ours.registers


@pytest.mark.parametrize(
    ("code", "value", "by", "result", "carry"),
    [  # DDI 0419, section A2.2.1: LSL_C, LSR_C, ASR_C, ROR_C
        ("8840", 1, 0, 1, None),
        ("8840", 1, 32, 0, 1),
        ("8840", 0xFFFF_FFFF, 33, 0, 0),
        ("8840", 0xFFFF_FFFF, 0x120, 0, 1),  # only eight bits of the amount count
        ("c840", 0x8000_0000, 32, 0, 1),
        ("c840", 0x8000_0000, 48, 0, 0),
        ("0841", 0x8000_0000, 48, 0xFFFF_FFFF, 1),
        ("0841", 0x7FFF_FFFF, 0, 0x7FFF_FFFF, None),
        ("c841", 0x8000_0001, 0, 0x8000_0001, None),
        ("c841", 0x8000_0001, 32, 0x8000_0001, 1),
        ("c841", 0x0000_0001, 33, 0x8000_0000, 1),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_shift_by_register_follows_the_manual(
    rig: Rig, code: str, value: int, by: int, result: int, carry: int | None, before: int
) -> None:
    program = "82f30088" + code + READ_FLAGS.replace(b"\x80", b"\x83", 1).hex()  # mrs r3, apsr
    after = _run(rig, program, {0: value, 1: by, 2: before << 29}, steps=3)
    assert after[0] == result
    assert after[3] >> 29 & 1 == (before if carry is None else carry)


@pytest.mark.parametrize(
    ("code", "registers"),
    [
        ("0868", {1: RAM + 2}),  # ldr r0, [r1]: not aligned
        ("0888", {1: RAM + 1}),  # ldrh
        ("0868", {1: 0x3000_0000}),  # nothing there
        ("0868", {1: 0x1000_0000}),  # flash, but not in execute-in-place
        ("00de", {}),  # udf
        ("00be", {}),  # bkpt: no debugger
        ("f0f700a0", {}),  # an undefined one of 32 bits
        ("0847", {1: RAM}),  # bx to an even address
        ("0847", {1: 0x4000_4001}),  # bx into device memory
    ],
)
def test_what_the_architecture_forbids_is_a_hard_fault(
    rig: Rig, code: str, registers: dict[int, int]
) -> None:
    faults = rig.ours.faults
    after = _run(rig, code, registers, steps=4)
    assert rig.ours.faults == faults + 1
    assert after[15] == HANDLER
    assert after[14] == 0xFFFF_FFF9


def test_fault_in_the_fault_handler_is_a_lockup(rig: Rig) -> None:
    rig.put(HANDLER, bytes.fromhex("00de"))
    try:
        _run(rig, "00de", steps=3)
        assert rig.ours.run(rig.ours.cycles + 100) is Stop.LOCKUP
    finally:
        rig.put(HANDLER, SPIN)
