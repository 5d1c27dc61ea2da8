# SPDX-License-Identifier: Apache-2.0
"""Boot with one instruction skipped, each in turn, on our Cortex-M0+ (skip.c)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from boards.model import Board
from firmware.compiler.boot_build import Boot
from tests.store.store_model import records_in

HERE = Path(__file__).parent
CORE = Path(__file__).parents[3] / "flasher/pico/core"
LIMIT = 80_000_000  # instructions; the longest undisturbed start has some 40 million,
LMS_LIMIT = 240_000_000  # and with an LMS signature to check 110
RETURNING = ("board_init", "dice_identify", "dice_certify")
HOOKS = (*RETURNING, "flash_erase", "flash_program", "recovery_run", "board_reset")
# Loops over words, bytes and rounds: skipped at in their first passes, not in each of millions.
ARITHMETIC = ("u256_", "u288_", "m256_", "point_", "multiply")
LMS = ("lms_", "lmots_", "create_", "hash_digit", "public_key_from", "psa_")  # mbedTLS' and ours
HEAVY = (
    *(*ARITHMETIC, *LMS, "mbedtls_", "sha256", "hmac_", "mem", "__", "store_", "crc32", "wipe"),
    "find",
)


class Outcome(IntEnum):
    """`enum outcome`."""

    OUT_OF_TIME = 0
    STARTED_A = 1
    STARTED_B = 2
    RECOVERY = 3
    RESET = 4
    AT_STOP = 5
    POWER_CUT = 6


class Cut(IntEnum):
    """`enum cut`: before the step, in the middle of it, just after."""

    BEFORE = 0
    TORN = 1
    AFTER = 2


class _Check(ctypes.Structure):
    _fields_ = (
        ("entry", ctypes.c_uint32),
        ("key", ctypes.c_uint32),
        ("signature", ctypes.c_uint32),
    )


class _Facts(ctypes.Structure):
    _fields_ = (
        ("hooks", ctypes.c_uint32 * len(HOOKS)),
        ("start", ctypes.c_uint32),
        ("stack", ctypes.c_uint32),
        ("slot_a", ctypes.c_uint32),
        ("slot_b", ctypes.c_uint32),
        ("slot_size", ctypes.c_uint32),
        ("store", ctypes.c_uint32),
        ("store_size", ctypes.c_uint32),
        ("ram_used", ctypes.c_uint32),
        ("checks", _Check * 2),
    )


class _Heavy(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_uint32),
        ("end", ctypes.c_uint32),
        ("arithmetic", ctypes.c_uint32),
    )


class _Result(ctypes.Structure):
    _fields_ = (
        ("place", ctypes.c_uint32),
        ("outcome", ctypes.c_uint32),
    )


_Machine = ctypes.Array[ctypes.c_char]
KEEPER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Result), ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Skip:
    """What came of one skipped instruction. `later`: of the next, undisturbed start."""

    function: str
    place: int
    outcome: Outcome
    later: Outcome | None


@dataclass(slots=True)
class Rig:
    """A built boot on the emulated processor."""

    board: Board
    boot: Boot
    library: ctypes.CDLL
    facts: _Facts
    functions: tuple[tuple[int, int, str], ...]  # start, end, name
    limit: int  # instructions of a start

    def machine(self, flash: bytes) -> _Machine:
        """A machine that is switched on over `flash`."""
        machine = ctypes.create_string_buffer(self.library.machine_size())
        ctypes.memmove(self.library.machine_flash(machine), flash, len(flash))
        self.library.machine_reset(machine, ctypes.byref(self.facts))
        return machine

    def flash_of(self, machine: _Machine | int) -> bytes:
        return ctypes.string_at(self.library.machine_flash(machine), self.board.flash.size)

    def start(self, flash: bytes) -> tuple[Outcome, bytes]:
        """One undisturbed start: how it ends and what it leaves in the flash."""
        machine = self.machine(flash)
        facts = ctypes.byref(self.facts)
        outcome = Outcome(self.library.machine_start(machine, facts, ctypes.c_uint64(self.limit)))
        return outcome, self.flash_of(machine)

    def steps(self, flash: bytes) -> int:
        """Words programmed and sectors erased in an undisturbed start."""
        machine, facts = self.machine(flash), ctypes.byref(self.facts)
        self.library.machine_start(machine, facts, ctypes.c_uint64(self.limit))
        return int(self.library.machine_steps(machine))

    def cut(self, flash: bytes, step: int, cut: Cut, seed: int = 1) -> bytes:
        """A start whose power is cut at a step; what that leaves in the flash."""
        machine, facts = self.machine(flash), ctypes.byref(self.facts)
        self.library.machine_cut(machine, step, cut, seed)
        outcome = self.library.machine_start(machine, facts, ctypes.c_uint64(self.limit))
        assert outcome == Outcome.POWER_CUT, Outcome(outcome)
        return self.flash_of(machine)

    def records(self, flash: bytes) -> dict[int, bytes]:
        """The live records of the store."""
        store = self.board.flash.store
        unit = max(4, self.board.flash.program_size)
        return records_in(flash, store.offset, store.bank_size, unit)

    def function_at(self, place: int) -> str:
        names = (name for start, end, name in self.functions if start <= place < end)
        return next(names, "?")

    def sweep(
        self,
        flash: bytes,
        *,
        arithmetic: bool = True,
        lms: bool = False,
        stride: int = 1,
        phase: int = 0,
    ) -> list[Skip]:
        """Skips every `stride`-th executed instruction of a start over `flash`.

        Without `arithmetic` the check of an ECDSA signature is taken as a whole, without `lms`
        that of an LMS signature.

        Where that leaves other records behind than an undisturbed start does, the device is
        started once more: a fault may have been written down.
        """
        _, left = self.start(flash)
        expected = self._memory(left)
        found: list[Skip] = []

        def keep(result: ctypes._Pointer[_Result], machine: int) -> None:
            place, outcome = result.contents.place, Outcome(result.contents.outcome)
            later = None
            if outcome in (Outcome.RECOVERY, Outcome.RESET):
                after = self.flash_of(machine)
                if self._memory(after) != expected:
                    later = self.start(after)[0]
            found.append(Skip(self.function_at(place), place, outcome, later))

        heavy = [
            (a, b, name.startswith(ARITHMETIC))
            for a, b, name in self.functions
            if name.startswith(HEAVY) and name != "memory_compare"
        ]
        ranges = (_Heavy * len(heavy))(*heavy)
        golden, scratch = self.machine(flash), self.machine(flash)
        self.library.sweep(
            *(golden, scratch, ctypes.byref(self.facts), ranges, len(heavy), arithmetic, lms),
            *(ctypes.c_uint64(number) for number in (stride, phase, self.limit)),
            KEEPER(keep),
        )
        return found

    def _memory(self, flash: bytes) -> Mapping[int, bytes]:
        """The records that decide what starts: not the boot count, nor the last reason."""
        records = self.records(flash)
        kept = {key: records[key] for key in (2, 3, 7, 9) if key in records}
        return kept | ({1: records[1][:3]} if 1 in records else {})


def make_rig(board: Board, boot: Boot, directory: Path) -> Rig:
    """Compiles the processor and reads boot's symbols. `directory` is for the library."""
    library = directory / "skip.so"
    sources = [HERE / "skip.c", *sorted(CORE.glob("*.c"))]
    flags = ["-std=c11", "-O2", "-flto", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
    cache = {"ZIG_GLOBAL_CACHE_DIR": str(directory), "ZIG_LOCAL_CACHE_DIR": str(directory)}
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *flags, "-o", str(library), *map(str, sources)],
        check=True,
        env={**os.environ, **cache},
    )
    with boot.elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbols = [s for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"]
    functions = tuple(
        (s["st_value"] & ~1, (s["st_value"] & ~1) + s["st_size"], s.name) for s in symbols
    )
    places = {name: start for start, _, name in functions}
    memory, flash = board.memory, board.flash
    vectors = memory.boot.base + memory.first_stage - flash.base
    code = boot.binary.read_bytes()
    first = memory.first_stage
    facts = _Facts(
        hooks=(ctypes.c_uint32 * len(HOOKS))(*(places[name] for name in HOOKS)),
        start=int.from_bytes(code[first + 4 : first + 8], "little"),
        stack=int.from_bytes(code[first : first + 4], "little"),
        slot_a=board.slot(0).base,
        slot_b=board.slot(1).base,
        slot_size=board.slot(0).size,
        store=flash.store.offset,
        store_size=flash.store.bank_size * flash.store.banks,
        ram_used=memory.boot_ram.size,
        checks=(_Check * 2)(
            _Check(places["p256_verify"], 64, 64), _Check(places.get("lms_verify", 1), 56, 1452)
        ),
    )
    assert vectors >= 0
    assert memory.boot_ram.base == memory.ram.base
    loaded = ctypes.CDLL(str(library))
    loaded.machine_size.restype = ctypes.c_size_t
    loaded.machine_flash.restype = ctypes.c_void_p
    loaded.machine_flash.argtypes = loaded.machine_reset.argtypes = [ctypes.c_void_p]
    loaded.machine_reset.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    loaded.machine_start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]
    loaded.machine_steps.argtypes = [ctypes.c_void_p]
    loaded.machine_cut.argtypes = [ctypes.c_void_p, *[ctypes.c_uint32] * 3]
    loaded.sweep.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32),
        *(ctypes.c_bool, ctypes.c_bool, *[ctypes.c_uint64] * 3, KEEPER),
    ]
    limit = LMS_LIMIT if "lms_verify" in places else LIMIT
    return Rig(board, boot, loaded, facts, functions, limit)
