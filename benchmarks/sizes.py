# SPDX-License-Identifier: Apache-2.0
"""Bytes of flash and of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import boards
from benchmarks.measure import Measure
from benchmarks.stock_port import build_stock_port
from benchmarks.workshop import BOARD, Workshop
from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import Toolchain
from firmware.image.lms import IDENTIFIER, NODE, LmsPublicKey
from firmware.image.trust import Trust, TrustedLmsKey
from firmware.planning.monitor_features import EVERYTHING, LOG_BYTES, Feature
from tests.monitor.proper import HUBRIS_FLASH, HUBRIS_RAM, compile_proper, size_of

LMS_GOAL = 3 * 1024  # what an LMS signature may cost boot beside it
BOOT_GOAL = 12 * 1024  # with P-256, DICE, rollback, revocation and serial recovery, on Cortex-M0+
_ARITHMETIC = (
    *("u256_", "u288_", "m256_", "point_", "scalar_", "p256_", "ecdsa_"),
    *("number_from", "multiply"),
)
_CRYPTO = (*_ARITHMETIC, "sha256", "mbedtls_", "hmac_", "hkdf", "absorb_key", "mac_v", "draw")
_PARTS = ("boot", "monitor", "vm", "bytecode", "tables", "image")


def sizes(workshop: Workshop) -> Iterator[Measure]:
    """Each part of heart_diary beside the same part of hello, and both beside MicroPython's own
    port to QEMU, built from the same sources by the same compiler.
    """
    stock = build_stock_port(workshop.means().toolchain, workshop.folder / "stock").size
    facts = {name: workshop.example(name).facts for name in ("hello", "heart_diary")}
    small, large = (each.sizes.model_dump() for each in facts.values())
    for part in _PARTS:
        name = f"size of {part}, heart_diary"
        yield Measure.beside(name, large[part], "bytes", "hello", small[part])
    for name, each in facts.items():
        image = each.sizes.image
        yield Measure.beside(f"size of image, {name}", image, "bytes", "stock port", stock)
        both = each.sizes.monitor + each.sizes.vm
        yield Measure.beside(f"size of monitor + vm, {name}", both, "bytes", "stock port", stock)
    ram = facts["hello"].ram
    (enclave,) = ram.enclaves.values()
    yield Measure.beside("memory of the monitor", ram.monitor, "bytes", "hello's", enclave)
    yield from _monitor_proper(workshop.folder / "proper")
    yield from _boots(workshop.folder / "boots", workshop.means().toolchain)


def _monitor_proper(folder: Path) -> Iterator[Measure]:
    """Without drivers and services; what Hubris declares for its kernel on a Cortex-M0+."""
    board = boards.load(BOARD)
    folder.mkdir()
    for name, features in {
        "monitor with everything": EVERYTHING - {Feature.DEVICES},
        "monitor, hello": frozenset[Feature](),
    }.items():
        size = size_of(compile_proper(board, folder, features))
        yield Measure.beside(
            f"flash of {name}", size.flash, "bytes", "Hubris' kernel", HUBRIS_FLASH
        )
        memory = size.variables - LOG_BYTES + board.memory.main_stack
        against = "Hubris' kernel"
        yield Measure.beside(f"memory of {name}", memory, "bytes", against, HUBRIS_RAM)


def _boots(folder: Path, toolchain: Toolchain) -> Iterator[Measure]:
    """Boot behind a UART for two cores, of which a Cortex-M0+ is what the goal is set for.

    No board here has that core and only a UART, so it is the virtual board's boot compiled for it.
    As it is by default, and with no more than the goal names.
    """
    board = boards.load(BOARD)
    whole = Trust.of([ec.derive_private_key(1, ec.SECP256R1()).public_key()])
    lms = TrustedLmsKey(LmsPublicKey(bytes(IDENTIFIER), bytes(NODE)))
    for core in ("cortex_m3", "cortex_m0plus"):
        which = board.model_copy(update={"core": core})
        for name, trust in (
            ("boot", whole),
            ("boot without decommissioning", replace(whole, decommission=False)),
        ):
            boot = build_boot(which, trust, toolchain, find_tree(MBEDTLS), folder / core)
            yield Measure.beside(f"{name} for {core}", boot.size, "bytes", "the goal", BOOT_GOAL)
        crypto = _size_of_crypto(boot.elf)
        yield Measure.beside(f"cryptography in it, {core}", crypto, "bytes", "boot", boot.size)
        with_lms = replace(trust, lms_keys=(lms,))
        more = build_boot(which, with_lms, toolchain, find_tree(MBEDTLS), folder / f"{core}_lms")
        cost = more.size - boot.size
        yield Measure.beside(f"LMS in boot for {core}", cost, "bytes", "the goal", LMS_GOAL)


def _size_of_crypto(elf: Path) -> int:
    """Code and constants of SHA-256, HMAC, HKDF and P-256, by their names; literals not counted."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return sum(
            int(symbol["st_size"])
            for symbol in table.iter_symbols()
            if symbol.name.startswith(_CRYPTO) or symbol.name == "K"
        )
