# SPDX-License-Identifier: Apache-2.0
"""Counts instructions of an emulated board, exactly: the same number on every run.

QEMU in record mode counts what the processor executes; a breakpoint set through its debugger port
(GDB remote serial protocol) says where to stop, and QMP's `query-replay` reads the count.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from boards import Board

_BREAKPOINT_KIND = 2  # a 16-bit Thumb instruction
_PATIENCE_S = 120.0


class InstructionCounter:
    """A board that is off until `run_to`: a context manager.

    `flash` is the file that is its flash, `boot` the ELF of boot.
    """

    def __init__(self, board: Board, boot: Path, flash: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="coffret-bench-"))
        assert board.emulator is not None, f"{board.name} has no emulator"
        lines = dict.fromkeys(("port", "stream0", *board.emulator.further), "null")
        command = board.emulator.command(boot=str(boot), flash=str(flash), **lines)
        self._process = subprocess.Popen(
            [
                *command,
                *("-icount", f"shift=0,rr=record,rrfile={self._folder / 'record'}"),
                *("-S", "-gdb", f"unix:{self._folder / 'gdb'},server=on,wait=off"),
                *("-qmp", f"unix:{self._folder / 'qmp'},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        self._gdb = self._connect("gdb")
        self._qmp = self._connect("qmp").makefile("rw", encoding="utf-8")
        self._qmp.readline()  # the greeting
        self._command("qmp_capabilities")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run_to(self, address: int) -> int:
        """Runs until the instruction at `address` is next; returns the count since reset."""
        place = f"{address & ~1:x},{_BREAKPOINT_KIND}"
        self._remote(f"Z1,{place}")
        stopped = self._remote("c")
        assert stopped.startswith(("T05", "S05")), f"the debugger says {stopped!r}"
        self._remote(f"z1,{place}")
        count: int = self._command("query-replay")["icount"]
        return count

    def _connect(self, name: str) -> socket.socket:
        until = time.monotonic() + _PATIENCE_S
        while True:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self._folder / name))
            except (FileNotFoundError, ConnectionRefusedError):
                line.close()
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                line.settimeout(_PATIENCE_S)
                return line

    def _remote(self, packet: str) -> str:
        """One exchange of the GDB remote serial protocol; returns the reply's text."""
        checksum = sum(packet.encode()) % 256
        self._gdb.sendall(f"${packet}#{checksum:02x}".encode())
        reply = b""
        while b"$" not in reply or b"#" not in reply.split(b"$", 1)[1][:-2]:
            more = self._gdb.recv(4096)
            assert more, "the emulator closed its debugger port"
            reply += more
        self._gdb.sendall(b"+")
        return reply.split(b"$", 1)[1].split(b"#", 1)[0].decode()

    def _command(self, name: str) -> dict[str, int]:
        self._qmp.write(json.dumps({"execute": name}) + "\n")
        self._qmp.flush()
        while True:
            answer = json.loads(self._qmp.readline())
            assert "error" not in answer, answer
            if "return" in answer:  # everything else is an event
                result: dict[str, int] = answer["return"]
                return result
