# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware's C for the host, to be driven by ctypes. The sources are the board's."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "firmware" / "runtime"
WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")


def host_compiler() -> list[str]:
    """The system's C compiler, or the one that builds the images."""
    if (cc := shutil.which("cc") or shutil.which("gcc")) is not None:
        return [cc]
    assert importlib.util.find_spec("ziglang") is not None, "no C compiler for the host"
    return [sys.executable, "-m", "ziglang", "cc"]


def compile_host(
    sources: Sequence[Path], config: Path, out: Path, flags: Sequence[str] = ("-O1", "-g")
) -> Path:
    """Compiles `sources` with the `board_config.h` in the folder `config`."""
    command = [*host_compiler(), *WARNINGS, *flags, "-DCOFFRET_HOST", "-I", str(config)]
    command += ["-I", str(RUNTIME / "include"), "-I", str(RUNTIME), *map(str, sources)]
    result = subprocess.run([*command, "-o", str(out)], capture_output=True, check=False, text=True)
    assert result.returncode == 0, result.stderr
    return out


def load_library(sources: Sequence[Path], config: Path, out: Path) -> ctypes.CDLL:
    """A shared library of `sources`, loaded."""
    flags = ["-O1", "-g", "-shared", "-fPIC"]
    if "ziglang" not in host_compiler():
        flags += ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    return ctypes.CDLL(str(compile_host(sources, config, out, flags)))
