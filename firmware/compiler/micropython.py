# SPDX-License-Identifier: Apache-2.0
"""The virtual machine of an image: MicroPython's sources, specialised by switches, with the modules
frozen in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boards.config_header import config_header
from boards.model import ROOT as BOARDS
from boards.model import Board
from firmware.bundle.symbols import Named, named_functions, native_functions
from firmware.compiler.object_cache import Roots, write_atomically, write_if_new
from firmware.compiler.sources import Tree, Trees
from firmware.compiler.toolchain import CompileJob, Core, Toolchain
from firmware.specialiser.cut_check import check_instructions, check_names
from firmware.specialiser.freeze import CompiledModule, FrozenModule, compile_modules, freeze
from firmware.specialiser.mpy import names_of
from firmware.specialiser.pruning import (
    jobs_with_places,
    jobs_without_unused_names,
    jobs_without_unused_opcodes,
    names_reached,
    static_names,
    used_opcodes,
)
from firmware.specialiser.qstrs import GeneratedHeaders, generate_headers

__all__ = ["FrozenModule", "VmObjects", "baseline_switches", "build_vm", "native_code_switches"]

_RUNTIME = Path(__file__).parents[1] / "runtime"

ENTRY = "vm_main"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# All of py/ but the lexer, parser, compiler and emitters, the REPL, and what only other processors
# need.
_CORE = _words(
    """
    argcheck bc binary builtinevex builtinhelp builtinimport cstack emitglue formatfloat frozenmod
    gc malloc map modarray modbuiltins modcmath modcollections moderrno modgc modio modmath
    modmicropython modstruct modsys modthread mpprint mpstate mpz nativeglue obj objarray
    objattrtuple objbool objboundmeth objcell objclosure objcode objcomplex objdeque objdict
    objenumerate objexcept objfilter objfloat objfun objgenerator objgetitemiter objint
    objint_longlong objint_mpz objlist objmap objmodule objnamedtuple objnone objobject objpolyiter
    objproperty objrange objreversed objringio objset objsingleton objslice objstr objstringio
    objstrunicode objtuple objtype objzip opmethods pairheap parsenum parsenumbase persistentcode
    profile pystack qstr ringbuf runtime runtime_utils scheduler sequence smallint stackctrl stream
    unicode vm vstr warning
"""
)

# Modules in C beside py/; each file is empty unless its switch is on.
_EXTMOD = _words(
    """
    machine_mem modasyncio modbinascii moddeflate modhashlib modheapq modjson modmachine modos
    modplatform modrandom modre modtime moductypes
"""
)

# What `machine` has beyond memory, for an appliance that imports it; each file is empty unless its
# switch is on, but for the last two.
_MACHINE = tuple(
    f"extmod/machine_{name}.c" for name in _words("adc i2c pinbase pwm signal spi uart wdt")
)
_MACHINE_LINES = ("extmod/virtpin.c", "drivers/bus/softspi.c")

# The inner loops: a few hundred bytes more for 11 % fewer instructions than -Oz (measured on a
# mixed benchmark).
_HOT = frozenset({"gc", "map", "qstr", "vm"})
_HOT_FLAGS = ("-Os",)

# Not part of link-time optimisation: nlr_push returns twice and nlr_jump does not return to its
# caller, which no optimiser that sees into them expects; memcpy and its kin must not be turned into
# calls of themselves.
_OPAQUE = ("py/nlr.c", "py/nlrthumb.c", "shared/libc/string0.c")

# MicroPython's headers do not claim to be clean of unused parameters, and a method that is pruned
# from its table leaves its object behind.
_OWN_FLAGS = (
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-parameter",
    "-Wno-unused-const-variable",
)
_OPAQUE_FLAGS = ("-ffreestanding", "-fno-builtin")


@dataclass(frozen=True, slots=True)
class VmObjects:
    """What the linker needs of the VM, and what the evidence says about it."""

    objects: tuple[Path, ...]
    module_digests: Mapping[str, bytes]  # import name -> SHA-256 of its .mpy
    micropython_version: str
    functions: tuple[Named, ...] = ()  # of bytecode, if it has no lines of its own


def baseline_switches() -> dict[str, str]:
    """The switches of every appliance: no compiler, no REPL, no import from storage.

    All else is at its minimum; a specialiser adds what the appliance's modules use.
    """
    return {
        "MICROPY_CONFIG_ROM_LEVEL": "MICROPY_CONFIG_ROM_LEVEL_MINIMUM",
        # Sealed: nothing that is not in the image can become code.
        "MICROPY_ENABLE_COMPILER": "0",
        "MICROPY_PERSISTENT_CODE_LOAD": "0",
        "MICROPY_ENABLE_EXTERNAL_IMPORT": "0",
        "MICROPY_MODULE_FROZEN_MPY": "1",
        "MICROPY_QSTR_EXTRA_POOL": "mp_qstr_frozen_const_pool",
        "MICROPY_HELPER_REPL": "0",
        "MICROPY_KBD_EXCEPTION": "0",
        "MICROPY_PY_SYS_STDFILES": "0",
        "MICROPY_PY_SYS_PS1_PS2": "0",
        "MICROPY_PY_BUILTINS_INPUT": "0",
        "MICROPY_PY_THREAD": "0",
        # Memory.
        "MICROPY_ENABLE_GC": "1",
        "MICROPY_ENABLE_FINALISER": "0",
        "MICROPY_STACK_CHECK": "1",
        "MICROPY_STACK_CHECK_MARGIN": "512",
        "MICROPY_ALLOC_PATH_MAX": "64",
        # Speed that costs little: measured together, 320 bytes for 9 % fewer instructions.
        "MICROPY_QSTR_BYTES_IN_HASH": "1",
        "MICROPY_OPT_LOAD_ATTR_FAST_PATH": "1",
        "MICROPY_OPT_MAP_LOOKUP_CACHE": "1",
        "MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE": "32",
        # Errors: the log is all that a person will see of a sealed device (784 bytes more than
        # TERSE).
        "MICROPY_ERROR_REPORTING": "MICROPY_ERROR_REPORTING_NORMAL",
        "MICROPY_ENABLE_SOURCE_LINE": "1",
        "MICROPY_USE_INTERNAL_ERRNO": "1",
        "MICROPY_USE_INTERNAL_PRINTF": "0",
        # Numbers.
        "MICROPY_LONGINT_IMPL": "MICROPY_LONGINT_IMPL_NONE",
        "MICROPY_FLOAT_IMPL": "MICROPY_FLOAT_IMPL_NONE",
        # Ours.
        "MICROPY_PY_ENCLAVE": "0",
        "MICROPY_PY_SYS_PLATFORM": '"coffret"',
    }


def native_code_switches(core: Core) -> dict[str, str]:
    """What modules with `@micropython.native` or `@micropython.viper` functions need in addition.

    Only the run-time support of native code; the emitter itself is mpy-cross, on the host.
    """
    return {
        "MICROPY_EMIT_THUMB": "1",
        "MICROPY_EMIT_THUMB_ARMV7M": "1" if core.thumb2 else "0",
        "MICROPY_EMIT_INLINE_THUMB": "0",
        # The table of functions that native code calls (py/nativeglue.c) names it.
        "MICROPY_PY_BUILTINS_BYTEARRAY": "1",
    }


def switches_header(switches: Mapping[str, str]) -> str:
    """C text of the switches, in the order of their names."""
    lines = ["// Generated by firmware/compiler/micropython.py."]
    for name, value in sorted(switches.items()):
        plain = value.isidentifier() or value.startswith('"')
        lines.append(f"#define {name} {value if plain else f'({value})'}")
    return "\n".join(lines) + "\n"


def build_vm(
    modules: Sequence[FrozenModule],
    switches: Mapping[str, str],
    core: Core,
    toolchain: Toolchain,
    trees: Trees,
    work: Path,
    *,
    board: Board | None = None,
    prune: bool = True,
) -> VmObjects:
    """Builds the VM with the modules in it; `switches` are all of them, the baseline included.

    With `prune`, what no module can reach is left out (see `pruning`). `board` brings the drivers
    that `machine` asks for; without one it has memory and timers only. `work` keeps the generated
    files between builds, so that editing a module costs no more than that module, the whole-program
    optimisation and the link. Raises FreezeError for a module, ToolchainError for C.
    """
    tree = trees.micropython
    work = work.resolve()
    roots = Roots({"micropython": tree.path, "runtime": _RUNTIME, "vm": work, "boards": BOARDS})
    if board is not None:
        write_if_new(work / "board_config.h", config_header(board).encode())
    switches_file = work / "genhdr/vm_switches.h"
    write_atomically(switches_file, switches_header(switches).encode())
    lines = switches.get("MICROPY_ENABLE_SOURCE_LINE") != "0"
    compiled = compile_modules(modules, core, tree.version, work / "mpy", lines=lines)

    jobs = list(_jobs(switches, tree, core, work))
    if not lines:
        jobs = jobs_with_places(jobs, work)
    static = static_names(tree)
    if prune:
        reached = names_reached(item.module.source() for item in compiled)
        if reached is not None:
            said = [names_of(item.mpy.read_bytes(), static) for item in compiled]
            jobs = jobs_without_unused_names(jobs, reached.union(*said), work)
    headers = _headers(jobs, switches_file, tree, core, toolchain, roots, work)

    frozen = work / "frozen.c"
    text = freeze(compiled, switches, headers.qstrs, tree)
    write_atomically(frozen, text)
    sources = {item.module.name: item.module.source() for item in compiled}
    interned = headers.qstrs.read_text(encoding="utf-8")
    check_instructions(text.decode(), sources, interned, switches)
    check_names(
        text.decode(),
        sources,
        interned,
        lambda: (p.read_text(encoding="utf-8") for p in tree.path.rglob("*.c")),
    )
    # With computed goto the cases are labels that a table names.
    if prune and switches.get("MICROPY_OPT_COMPUTED_GOTO", "0") == "0":
        jobs = jobs_without_unused_opcodes(jobs, used_opcodes(text.decode()), work)
    jobs.append(_job(frozen, tree, work, lto=True))
    if board is not None and _has_devices(switches):
        jobs += _drivers(board, tree, work)

    objects = toolchain.compile(jobs, core, roots)
    bitcode = [item for job, item in zip(jobs, objects, strict=True) if job.lto]
    others = [item for job, item in zip(jobs, objects, strict=True) if not job.lto]
    whole = toolchain.optimise([*bitcode, *others], core, (ENTRY,))
    digests = {item.module.name: item.digest() for item in compiled}
    functions = tuple(_functions(compiled, text.decode(), static))
    return VmObjects((whole, *others), digests, tree.version, functions)


def _functions(
    compiled: Sequence[CompiledModule], frozen: str, static: Sequence[str]
) -> Iterator[Named]:
    for item in compiled:
        sealed, full = item.mpy.read_bytes(), item.lined.read_bytes()
        file = item.module.file_name
        yield from named_functions(file, sealed, full, frozen, static)
        yield from native_functions(file, item.module.source(), frozen)


def _headers(
    jobs: Sequence[CompileJob],
    switches_file: Path,
    tree: Tree,
    core: Core,
    toolchain: Toolchain,
    roots: Roots,
    work: Path,
) -> GeneratedHeaders:
    own = [path for name in ("vm", "libc", "include") for path in (_RUNTIME / name).rglob("*.h")]
    marked = [job for job in jobs if job.lto]
    return generate_headers(
        marked, [*sorted(own), switches_file], tree, core, toolchain, roots, work
    )


def _job(
    source: Path, tree: Tree, work: Path, *, lto: bool, flags: tuple[str, ...] = ()
) -> CompileJob:
    vm = _RUNTIME / "vm"
    includes = (vm, work, tree.path, _RUNTIME / "include", _RUNTIME / "libc")
    return CompileJob(source, includes, flags=flags, lto=lto)


def _has_devices(switches: Mapping[str, str]) -> bool:
    return any(
        name.startswith("MICROPY_PY_MACHINE_") and switches[name] == "1"
        for name in switches
        if name not in ("MICROPY_PY_MACHINE_MEMX", "MICROPY_PY_MACHINE_SIGNAL")
    )


def _drivers(board: Board, tree: Tree, work: Path) -> Iterator[CompileJob]:
    """What an enclave runs itself; what no enclave needs is dropped with the rest."""
    for source in board.vm_sources:
        job = _job(source, tree, work, lto=True, flags=_OWN_FLAGS)
        yield replace(job, includes=(*job.includes, *board.include_directories))


def _jobs(switches: Mapping[str, str], tree: Tree, core: Core, work: Path) -> Iterator[CompileJob]:
    """Everything but the frozen modules."""
    for name in _CORE:
        flags = _HOT_FLAGS if name in _HOT else ()
        yield _job(tree.path / f"py/{name}.c", tree, work, lto=True, flags=flags)
    sources = [f"extmod/{name}.c" for name in _EXTMOD]
    sources += ["shared/libc/printf.c", "shared/runtime/gchelper_native.c"]
    for name in sources:
        yield _job(tree.path / name, tree, work, lto=True)
    own = sorted((_RUNTIME / "vm").glob("*.c"))
    if _has_devices(switches):
        own += sorted((_RUNTIME / "vm" / "machine").glob("*.c"))
        for name in _MACHINE:
            yield _job(tree.path / name, tree, work, lto=True)
        if switches.get("MICROPY_PY_MACHINE_PIN") == "1":
            for name in _MACHINE_LINES:
                yield _job(tree.path / name, tree, work, lto=True)
    for source in own:
        yield _job(source, tree, work, lto=True, flags=_OWN_FLAGS)
    for name in _OPAQUE:
        yield _job(tree.path / name, tree, work, lto=False, flags=_OPAQUE_FLAGS)
    helper = "gchelper_thumb2.s" if core.thumb2 else "gchelper_thumb1.s"
    yield _job(tree.path / "shared/runtime" / helper, tree, work, lto=False)
    library = {"MICROPY_FLOAT_IMPL_FLOAT": "libm", "MICROPY_FLOAT_IMPL_DOUBLE": "libm_dbl"}.get(
        switches.get("MICROPY_FLOAT_IMPL", "")
    )
    if library is not None:
        for source in sorted((tree.path / "lib" / library).glob("*.c")):
            if not source.name.startswith("thumb_vfp_"):
                yield _job(source, tree, work, lto=True)
