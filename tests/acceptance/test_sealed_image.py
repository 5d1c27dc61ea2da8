# SPDX-License-Identifier: Apache-2.0
"""What is not in the image cannot be used against its owner."""

from __future__ import annotations

import json
import os
import re
import select
import time
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from flasher.bundle import read_bundle
from flasher.run import board_of
from flasher.smp import Board
from tests.acceptance.conftest import User

# Symbols of MicroPython's py/ and shared/: the compiler (lexer.c, parse.c, compile.c, emit*.c),
# the REPL (pyexec.c, repl.c, readline.c), exec and eval (builtinevex.c), loading of .mpy
# (persistentcode.c), and file systems (vfs*.c).
FORBIDDEN = re.compile(
    r"mp_(lexer|parse$|parse_(?!num|float|int)|compile|emit)|pyexec|readline|mp_repl"
    r"|builtin_(exec|eval|compile|execfile|open|input)"
    r"|mp_raw_code_load|mp_vfs|do_load_from_lexer|mp_reader"
)
KIB = 1024
RAW_REPL = b"\x01\x03\x02\x04\r\x03\x03\x01"


def symbols(elf: Path) -> set[str]:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name for symbol in table.iter_symbols()}


@pytest.mark.parametrize("slot", ["slot_a", "slot_b"])
@pytest.mark.parametrize("appliance", ["hello", "diary"])
def test_the_image_has_no_repl_no_compiler_and_no_exec(
    appliance: str, slot: str, request: pytest.FixtureRequest
) -> None:
    bundle: Path = request.getfixturevalue(appliance)
    names = symbols(bundle / "elf" / f"{slot}.elf")
    assert "mp_execute_bytecode" in names, "these are not the symbols of the virtual machine"
    assert {name for name in names if FORBIDDEN.search(name)} == set()


def test_hello_is_at_most_48_kib_and_boot_below_15_8(user: User, hello: Path) -> None:
    facts = json.loads(user.coffret("inspect", hello, "--json").out)
    sizes = facts["sizes"]
    assert sizes["monitor"] + sizes["vm"] <= 48 * KIB
    assert facts["ram"]["monitor"] <= 4 * KIB
    assert sizes["boot"] <= 15.8 * KIB
    assert sizes["boot"] == (hello / "boot.bin").stat().st_size


def test_heart_diary_is_at_most_80_kib(user: User, diary: Path) -> None:
    sizes = json.loads(user.coffret("inspect", diary, "--json").out)["sizes"]
    assert sizes["image"] <= 80 * KIB


def drain(port: int, seconds: float) -> bytes:
    """Everything the port says until it has been silent for `seconds`."""
    said = b""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([port], [], [], 0.1)[0]:
            said += os.read(port, 4096)
            until = time.monotonic() + seconds
    return said


def test_a_raw_repl_entry_on_every_port_changes_nothing(diary: Path) -> None:
    with board_of(read_bundle(diary)) as board:
        with Board.open(board.port) as client:
            before = client.enclaves()
        for path in (board.port, *board.run.streams):
            port = os.open(path, os.O_RDWR | os.O_NOCTTY)
            try:
                drain(port, 1.0)
                os.write(port, RAW_REPL + b"print(6 * 7)\x04")
                said = drain(port, 1.0)
            finally:
                os.close(port)
            assert b"42" not in said
            assert b">" not in said
        with Board.open(board.port) as client:
            after = client.enclaves()
    assert [(each.name, each.faults, each.restarts) for each in after.enclaves] == [
        (each.name, each.faults, each.restarts) for each in before.enclaves
    ]
    assert after.uptime_ms > before.uptime_ms
