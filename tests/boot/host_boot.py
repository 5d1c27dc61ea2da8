# SPDX-License-Identifier: Apache-2.0
"""Boot's C on the host, over ctypes: the same sources as on the board."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from boards.config_header import config_header
from boards.model import Board
from firmware.compiler.boot_build import RUNTIME
from firmware.compiler.sources import MBEDTLS, find_tree
from tests.store.host_library import compile_host


def load_boot(
    sources: Sequence[Path],
    config: Path,
    out: Path,
    board: Board | None = None,
    defines: Sequence[str] = (),
) -> ctypes.CDLL:
    """A shared library of boot's crypto and `sources`; `config` holds board_config.h."""
    if board is not None:
        (config / "board_config.h").write_text(config_header(board))
    tree = find_tree(MBEDTLS).path
    includes = [
        RUNTIME.parents[1] / "boards/cores/common",
        *(RUNTIME / "boot", RUNTIME / "monitor", RUNTIME / "crypto", RUNTIME / "crypto/shim"),
        *(tree / "include", tree / "library", tree / "3rdparty/p256-m/p256-m"),
    ]
    crypto = sorted((RUNTIME / "crypto").glob("*.c"))
    theirs = [tree / "library/sha256.c"]
    flags = ["-O1", "-g", "-shared", "-fPIC", '-DMBEDTLS_CONFIG_FILE="crypto_config.h"']
    flags += [f"-D{define}" for define in defines]
    flags += [argument for include in includes for argument in ("-I", str(include))]
    return ctypes.CDLL(str(compile_host([*crypto, *theirs, *sources], config, out, flags)))
