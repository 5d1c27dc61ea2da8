# SPDX-License-Identifier: Apache-2.0
"""Builds the program of attacks into a signed image for the Pico, and boot with its key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

import boards
from boards.config_header import config_header
from boards.memory import Region
from firmware.compiler.boot_build import Boot, build_boot
from firmware.compiler.link import KEEP, RUNTIME, Layout, Statics, link_image, monitor_sources
from firmware.compiler.object_cache import Roots
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from firmware.image.writer import ImageContent, wrap_image
from firmware.planning.monitor_features import EVERYTHING, HEADER, Feature, constants, image_config

BOARD = boards.load("rpi-pico")
PROGRAM = Path(__file__).parent / "program"
REPOSITORY = Path(__file__).parents[2]
KEY = ec.derive_private_key(0xC0FF8E7, ec.SECP256R1())
WARNINGS = ("-Wall", "-Wextra", "-Werror")
_RAM = BOARD.memory.ram.base
# program.h has the same places. Variables of the controller, task 3, lie behind its stack.
LAYOUT = Layout(
    monitor=Region(base=_RAM, size=0x8000),
    main_stack=0x800,
    window=Region(base=_RAM + 0x8000, size=0x400),
    statics=(Statics("manager", Region(base=_RAM + 0x1_3800, size=0x800)),),
)


def boot(directory: Path) -> Boot:
    """Boot for the Pico, with KEY."""
    tree = find_tree(MBEDTLS)
    return build_boot(BOARD, Trust.of([KEY.public_key()]), zig_toolchain(), tree, directory)


def image(directory: Path, slot: int = 0) -> bytes:
    """The program, linked and signed. Only its tables know the slot, so it runs in slot A alone."""
    (directory / "board_config.h").write_text(config_header(BOARD), encoding="utf-8")
    config = image_config(constants(EVERYTHING - {Feature.DEVICES, Feature.SETTINGS}, 2048))
    (directory / HEADER).write_text(config, encoding="utf-8")
    includes = (
        directory,
        PROGRAM,
        RUNTIME,
        RUNTIME / "include",
        RUNTIME / "monitor",
        RUNTIME / "libc",
        *BOARD.include_directories,
    )
    roots = Roots({"coffret": REPOSITORY, "gen": directory})
    sources = [s for s in (*monitor_sources(), *BOARD.image_sources) if s.parent.name != "services"]
    sources += [PROGRAM / "enclaves.c", PROGRAM / "controller.c"]
    jobs = [CompileJob(source, includes, flags=WARNINGS, lto=True) for source in sources]
    # Called by code that the compiler makes after optimisation, so never bitcode.
    jobs.append(CompileJob(RUNTIME / "boot/string.c", includes, flags=("-ffreestanding",)))
    jobs.append(replace(jobs[0], source=PROGRAM / "tables.c", lto=False))
    toolchain, core = zig_toolchain(), CORES[BOARD.core]
    objects = toolchain.compile(jobs, core, roots)
    native = toolchain.optimise(objects, core, KEEP)
    linked = link_image(
        toolchain, (native, *objects[-2:]), BOARD, LAYOUT, slot, directory / "program.elf"
    )
    content = ImageContent(Version.parse("1.0.0"), 3, b"\x11" * 32, b"\x22" * 32)
    return wrap_image(linked.body, slot, BOARD, content, LocalSigner(KEY))
