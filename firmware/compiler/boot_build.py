# SPDX-License-Identifier: Apache-2.0
"""Boot for one board and the keys whose images it starts: compiled, linked, measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from elftools.elf.elffile import ELFFile

from boards.config_header import config_header
from boards.errors import USAGE, CoffretError
from boards.model import ROOT as BOARDS
from boards.model import Board
from firmware.compiler.object_cache import Roots, write_atomically
from firmware.compiler.sources import Tree
from firmware.compiler.toolchain import CORES, CompileJob, Toolchain
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey, key_hash

RUNTIME = Path(__file__).parents[1] / "runtime"

# Below .bss. What the deepest path needs is measured: docs/internals.md, Boot services.
STACK_SIZE = 0x1800

ENTRY = "boot_main"
# Not optimised across files: the comparisons that compute everything twice on purpose, for whoever
# sees both halves sees that they are equal; and what the compiler calls by name when all else is
# compiled.
_APART = tuple(RUNTIME / name for name in ("crypto/memory.c", "boot/string.c"))
# What is called twice is not inlined, no block is copied or moved to save a jump, and a constant is
# made anew rather than kept: bytes of boot on Cortex-M0+ (M3) with all 16,148 (15,672), without the
# last three 16,380 (15,700).
_TIGHT_OPTIONS = (
    *("-inline-threshold=-50", "-disable-block-placement"),
    *("-consthoist-gep", "-arm-promote-constant", "-disable-machine-cse"),
)
_TIGHT = tuple(word for option in _TIGHT_OPTIONS for word in ("-mllvm", option))
_OURS = ("crypto", "boot", "store", "cbor", "smp")
_WARNINGS = ("-Wall", "-Wextra", "-Werror")
# Of a Secure world: gateways leave nothing in registers, and may ask what a caller can reach.
_SECURE = ("-mcmse",)


class BootError(CoffretError):
    """Boot cannot be built from what was given."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


@dataclass(frozen=True, slots=True)
class Boot:
    """A built boot. `digest` is the SHA-256 over `binary`, as boot measures itself; bytes."""

    elf: Path
    binary: Path
    digest: bytes
    size: int
    ram: int


def boot_features(trust: Trust) -> tuple[str, ...]:
    """What boot has only where its trust asks for it, as macros."""
    asked = {
        "BOOT_THRESHOLD": trust.threshold > 1,
        "BOOT_DECOMMISSION": trust.decommission,
        "BOOT_POST_QUANTUM": trust.post_quantum,  # and all of mbedTLS that it takes
    }
    return tuple(name for name, is_asked in asked.items() if is_asked)


def keys_source(trust: Trust) -> str:
    """The text of `keys.c`: the tables of trusted keys, in the order given."""
    rows = []
    for trusted in trust.keys:
        point = trusted.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        rows.append(_row(key_hash(trusted.key), point[1:], trusted))
    lms = [_row(trusted.key.key_hash, trusted.key.raw, trusted) for trusted in trust.lms_keys]
    lms_count = f"const uint32_t boot_lms_key_count = {len(lms)}u;\n" if lms else ""
    threshold = f"const volatile uint32_t boot_threshold = {trust.threshold}u;\n"
    return (
        "// SPDX-License-Identifier: Apache-2.0\n"
        "// Made by firmware/compiler/boot_build.py: SHA-256 of the SubjectPublicKeyInfo, point.\n"
        '#include "boot/boot.h"\n\n'
        f"const struct boot_key boot_keys[] = {{\n{''.join(rows + lms)}}};\n"
        f"const uint32_t boot_key_count = {len(rows)}u;\n"
        f"{threshold if trust.threshold > 1 else ''}"
        f"{lms_count}"
    )


def _row(hash_: bytes, key: bytes, trusted: TrustedKey | TrustedLmsKey) -> str:
    role = "KEY_DEVELOPMENT" if trusted.development else "KEY_RELEASE"
    return (
        f"    {{{{{_bytes(hash_)}}},\n     {{{_bytes(key)}}},\n"
        f"     {trusted.generation}u, {role}}},\n"
    )


def _bytes(data: bytes) -> str:
    return ", ".join(f"0x{byte:02x}" for byte in data)


def build_boot(
    board: Board,
    trust: Trust,
    toolchain: Toolchain,
    mbedtls: Tree,
    out: Path,
) -> Boot:
    """Builds `out/boot.elf` and `out/boot.bin`. Raises BootError, TrustError and ToolchainError.

    The bytes depend on the board, the keys, our sources and the pinned tree, on nothing else.
    """
    made = out / "boot"
    write_atomically(made / "board_config.h", config_header(board).encode())
    write_atomically(made / "keys.c", keys_source(trust).encode())
    core = CORES[board.core]
    roots = Roots({"runtime": RUNTIME, "boards": BOARDS, "mbedtls": mbedtls.path, "boot": made})
    jobs = _jobs(board, trust, mbedtls, made)
    objects = toolchain.compile(jobs, core, roots)
    opaque = [item for job, item in zip(jobs, objects, strict=True) if not job.lto]
    whole = toolchain.optimise(objects, core, (ENTRY,), _TIGHT)
    memory = board.memory
    addresses = {
        "boot_base": memory.boot.base,
        "boot_size": memory.boot.size,
        "boot_first_stage": memory.first_stage,
        "boot_ram_base": memory.boot_ram.base,
        "boot_ram_size": memory.boot_ram.size,
        "boot_stack_size": STACK_SIZE,
    }
    script = RUNTIME / "boot/boot.ld"
    elf = toolchain.link((whole, *opaque), script, out / "boot.elf", core, addresses)
    binary, ram = _flatten(elf, board)
    write_atomically(out / "boot.bin", binary)
    return Boot(elf, out / "boot.bin", hashlib.sha256(binary).digest(), len(binary), ram)


def _jobs(board: Board, trust: Trust, mbedtls: Tree, made: Path) -> list[CompileJob]:
    includes = (
        made,
        RUNTIME,
        RUNTIME / "include",
        RUNTIME / "boot",
        RUNTIME / "crypto",
        RUNTIME / "crypto/shim",
        RUNTIME / "libc",
        *board.include_directories,
        mbedtls.path / "include",
        mbedtls.path / "library",
        mbedtls.path / "3rdparty/p256-m/p256-m",
    )
    defines = ('MBEDTLS_CONFIG_FILE="crypto_config.h"', *boot_features(trust))
    ours = [path for folder in _OURS for path in sorted((RUNTIME / folder).glob("*.c"))]
    ours += [*board.boot_sources, made / "keys.c"]
    if board.secure_world:
        ours.append(RUNTIME / "services/token.c")  # signed where the key is
    theirs = [mbedtls.path / "library/sha256.c"]
    secure = _SECURE if board.secure_world else ()
    flags = {path: (*secure, *_WARNINGS) for path in ours} | dict.fromkeys(theirs, secure)
    whole = {path for path in (*ours, *theirs) if path.suffix == ".c"} - set(_APART)
    return [
        CompileJob(path, includes, defines, flags[path], lto=path in whole)
        for path in (*ours, *theirs)
    ]


def _flatten(elf: Path, board: Board) -> tuple[bytes, int]:
    """The bytes from boot's base to `__boot_end`, and the RAM that is not stack."""
    with elf.open("rb") as file:
        sections = {section.name: section for section in ELFFile(file).iter_sections()}
        code = sections[".boot"]
        if code["sh_addr"] != board.memory.boot.base:
            raise BootError(
                "boot: the linker put it elsewhere", "mend firmware/runtime/boot/boot.ld"
            )
        return code.data(), sections[".bss"]["sh_size"]
