# SPDX-License-Identifier: Apache-2.0
"""Appliances whose enclaves fail on a board, and what `coffret trace` makes of the board's log."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from firmware.bundle.folder import Bundle
from firmware.bundle.symbols import Symbols
from flasher.logs import Dump
from flasher.smp import Board
from flasher.trace_cli import trace_command
from tests.machine.bench import build_for, running

_ALICE = Path(__file__).parents[2] / "examples" / "heart_diary" / "keys" / "alice.pem"


@dataclass(frozen=True, slots=True)
class Faulted:
    """An appliance whose enclaves have failed on a board, and the board's log."""

    source: Path
    bundle: Bundle
    log: Path

    def trace(self, *words: object, bundle: Path | None = None) -> Result:
        arguments = [str(bundle or self.bundle.folder), "--log", str(self.log)]
        return CliRunner().invoke(trace_command, [*arguments, *map(str, words)])

    def symbols(self) -> Symbols:
        path = self.bundle.folder / "symbols.json"
        return Symbols.model_validate_json(path.read_bytes())


def write_source(source: Path, manifest: str, texts: Mapping[str, str]) -> None:
    """An appliance of alice's: its manifest and, by name, its modules."""
    source.mkdir()
    shutil.copy(_ALICE, source / "alice.pem")
    (source / "appliance.toml").write_text(manifest)
    for name, text in texts.items():
        (source / f"{name}.py").write_text(text)


def run_until_stopped(source: Path, folder: Path, enclaves: int) -> Faulted:
    """Builds it into `folder` and runs it until so many enclaves have stopped for good."""
    bundle = build_for("mps2-an385", source, folder)
    with running(bundle, folder) as board:
        board.until(lambda it: len([t for t in it.said("monitor") if "stopped" in t]) == enclaves)
        with Board.open(board.virtual.port) as link:
            Dump.of(link).save(folder / "log.json")
    return Faulted(source, bundle, folder / "log.json")
