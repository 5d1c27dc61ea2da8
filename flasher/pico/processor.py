# SPDX-License-Identifier: Apache-2.0
"""The emulated Cortex-M0+ (`core/*.c`): compiled once a user, called through ctypes.

rp2040py has a processor too, which knows no memory protection and no faults, and runs some three
million instructions a second: too few to check a signature while somebody waits. Both are held
against each other in tests/pico.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from firmware.compiler.object_cache import user_cache, write_atomically
from flasher.errors import EmulatorError

_SOURCES = Path(__file__).parent / "core"
_FLAGS = ("-std=c11", "-O2", "-flto", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")
REGISTERS = 16

_READ = ctypes.CFUNCTYPE(
    ctypes.c_bool, ctypes.c_uint32, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)
)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)

Read = Callable[[int, int], int]  # address, size -> value
Write = Callable[[int, int, int], None]  # address, size, value


class Stop(IntEnum):
    """Why `Processor.run` came back (core.h, enum stop)."""

    DEADLINE = 0
    SLEEP = 1
    RESET = 2
    LOCKUP = 3
    BREAK = 4
    HALT = 5


class _State(ctypes.Structure):
    """The first fields of `struct core`."""

    _fields_ = (
        ("cycles", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("lines", ctypes.c_uint32),
        ("xip", ctypes.c_uint32),
        ("stopping", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("instructions", ctypes.c_uint64),
        ("r", ctypes.c_uint32 * REGISTERS),
        ("debugged", ctypes.c_uint32),
        ("halted", ctypes.c_uint32),
    )


def library() -> Path:
    """The compiled core, from the user's cache. Raises EmulatorError when it does not compile."""
    sources = sorted(_SOURCES.glob("*.c"))
    digest = hashlib.sha256(repr((sys.platform, _FLAGS)).encode())
    for path in (*sources, *sorted(_SOURCES.glob("*.h"))):
        digest.update(path.read_bytes())
    built = user_cache() / "emulator" / f"pico-{digest.hexdigest()[:32]}.so"
    if built.is_file():
        return built
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "core.so"
        # Its own cache would land in the user's home beside ours.
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, "-o", str(out)]
        environment = {"ZIG_GLOBAL_CACHE_DIR": directory, "ZIG_LOCAL_CACHE_DIR": directory}
        result = subprocess.run(
            [*command, *map(str, sources)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )
        if result.returncode != 0:
            raise EmulatorError(
                f"the Pico emulator does not compile: {result.stderr.strip()}",
                'install the compiler: pip install "ziglang==0.15.2"',
            )
        write_atomically(built, out.read_bytes())
    return built


class Processor:
    """One core. `rom`, `flash`, `ram` and `usb_ram` are used in place, not copied.

    `read` and `write` serve peripherals. What they raise ends `run`, which raises it again.
    """

    def __init__(
        self,
        rom: bytes,
        flash: memoryview,
        ram: memoryview,
        usb_ram: memoryview,
        read: Read,
        write: Write,
    ) -> None:
        assert len(flash) & (len(flash) - 1) == 0, "the flash's size is a power of two"
        self._library = ctypes.CDLL(str(library()))
        for name in ("core_size", "core_debug_register"):
            getattr(self._library, name).restype = ctypes.c_uint32
        for name in ("core_debug_load", "core_debug_store"):
            getattr(self._library, name).restype = ctypes.c_bool
        self._memory = ctypes.create_string_buffer(self._library.core_size())
        self._state = _State.from_buffer(self._memory)
        self._error: BaseException | None = None
        self._read_back = _READ(self._guarded_read(read))
        self._write_back = _WRITE(self._guarded_write(write))
        self._rom = ctypes.create_string_buffer(bytes(rom), len(rom))
        self._kept = [(ctypes.c_char * len(m)).from_buffer(m) for m in (flash, ram, usb_ram)]
        self._library.core_attach(
            self._memory,
            self._rom,
            self._kept[0],
            ctypes.c_uint32(len(flash)),
            self._kept[1],
            self._kept[2],
            self._read_back,
            self._write_back,
        )
        self.reset()

    def _guarded_read(self, read: Read) -> Callable[[int, int, object], bool]:
        def back(address: int, size: int, value: object) -> bool:
            try:
                value[0] = read(address, size)  # type: ignore[index]
            except BaseException as error:  # C cannot pass it on
                return self._failed(error)
            return True

        return back

    def _guarded_write(self, write: Write) -> Callable[[int, int, int], bool]:
        def back(address: int, size: int, value: int) -> bool:
            try:
                write(address, size, value)
            except BaseException as error:  # C cannot pass it on
                return self._failed(error)
            return True

        return back

    def _failed(self, error: BaseException) -> bool:
        self._error = error
        self.stop()
        return True

    def reset(self) -> None:
        """Starts from the boot ROM's vectors. Cycles go on counting."""
        self._library.core_reset(self._memory)

    def run(self, until: int) -> Stop:
        """Runs until `until` cycles have passed in all, or something else ends it."""
        self._state.deadline = until
        reason = Stop(self._library.core_run(self._memory))
        self._raise_error()
        return reason

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def stop(self) -> None:
        """From a call back: `run` returns before the next instruction."""
        self._state.stopping = 1

    def shorten(self, until: int) -> None:
        """From a call back: come back no later than at this cycle."""
        self._state.deadline = min(self._state.deadline, until)

    @property
    def cycles(self) -> int:
        """Cycles since it was made."""
        return int(self._state.cycles)

    def skip(self, cycles: int) -> None:
        """Lets time pass in which nothing runs."""
        self._state.cycles += cycles

    @property
    def instructions(self) -> int:
        """Instructions since it was made."""
        return int(self._state.instructions)

    @property
    def faults(self) -> int:
        """HardFaults taken since it was made."""
        return int(self._state.faults)

    @property
    def registers(self) -> tuple[int, ...]:
        """r0 to r15; r15 is the next instruction's address."""
        return tuple(self._state.r)

    def set_registers(self, values: tuple[int, ...]) -> None:
        """Replaces r0 to r15."""
        self._state.r[:] = values

    def set_lines(self, lines: int) -> None:
        """The interrupt lines that are up, one bit each."""
        self._state.lines = lines

    def set_flash_readable(self, readable: bool) -> None:
        """Whether the flash answers in its windows (execute in place)."""
        self._state.xip = readable

    # ---- for a debugger ----

    def attach_debugger(self, attached: bool) -> None:
        """Whether BKPT halts (`Stop.HALT`) instead of being a fault; a reset does not change it."""
        self._state.debugged = attached

    @property
    def halted(self) -> bool:
        """Nothing runs; `halt` ends that too."""
        return bool(self._state.halted)

    def halt(self, halted: bool = True) -> None:
        """Stops before the next instruction, or goes on there."""
        self._state.halted = halted

    def debug_register(self, number: int) -> int:
        """A register by the number of DCRSR (Arm DDI 0419, section C1.6.3)."""
        return int(self._library.core_debug_register(self._memory, number))

    def set_debug_register(self, number: int, value: int) -> None:
        """See `debug_register`."""
        self._library.core_set_debug_register(self._memory, number, ctypes.c_uint32(value))

    def debug_load(self, address: int, size: int) -> int | None:
        """What the bus holds, past the protection unit; None: nothing answers there."""
        value = ctypes.c_uint32()
        place = ctypes.c_uint32(address)
        found = self._library.core_debug_load(self._memory, place, size, ctypes.byref(value))
        self._raise_error()
        return value.value if found else None

    def debug_store(self, address: int, size: int, value: int) -> bool:
        """The other way; False: nothing answers there."""
        words = ctypes.c_uint32(address), size, ctypes.c_uint32(value)
        taken = bool(self._library.core_debug_store(self._memory, *words))
        self._raise_error()
        return taken
