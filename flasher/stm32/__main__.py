# SPDX-License-Identifier: Apache-2.0
"""`python -m flasher.stm32 FLASH --line NAME=FD...`: the emulator as a process of its own."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from flasher.stm32.debugger import GoneError
from flasher.stm32.machine import Machine


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flasher.stm32")
    parser.add_argument("flash", type=Path, help="file that is the flash, of its size")
    parser.add_argument("--line", action="append", default=[], metavar="NAME=FD")
    arguments = parser.parse_args()
    pairs = (line.partition("=") for line in arguments.line)
    with contextlib.suppress(GoneError):
        Machine(arguments.flash, {name: int(fd) for name, _, fd in pairs}).run()


if __name__ == "__main__":
    main()
