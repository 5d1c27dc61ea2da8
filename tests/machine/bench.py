# SPDX-License-Identifier: Apache-2.0
"""Appliances that use devices: written, built, and run on an emulated board, in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

import boards
from boards.errors import CoffretError
from firmware.appliance.manifest_file import load
from firmware.build import Means, build
from firmware.bundle.folder import Bundle
from firmware.compiler.sources import find_trees
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.signer import LocalSigner
from flasher.smp import Board, wait_for
from flasher.virtual import VirtualBoard, make_flash

KEY = ec.derive_private_key(0xDEC0DE, ec.SECP256R1())
SECONDS = 40.0


def write_appliance(
    folder: Path, enclaves: Mapping[str, tuple[Sequence[str], str]], *more: str
) -> Path:
    """An appliance of enclaves: by name, the devices each is granted and its module's text.

    `more`: lines of the manifest for each enclave.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[appliance]", 'name = "bench"', 'version = "1.0.0"']
    for name, (devices, text) in enclaves.items():
        granted = ", ".join(f'"{device}"' for device in devices)
        lines += [f"[enclave.{name}]", f'module = "{name}_main.py"', f"devices = [{granted}]"]
        lines += ['restart = "never"', *more]
        (folder / f"{name}_main.py").write_text(text)
    (folder / "appliance.toml").write_text("\n".join(lines) + "\n")
    return folder


def build_for(board: str, appliance: Path, directory: Path) -> Bundle:
    """The bundle of an appliance for a board."""
    means = Means(
        toolchain=zig_toolchain(),
        trees=find_trees(),
        signer=LocalSigner(KEY),
        endorse=lambda _: b"",
        work=directory / f"work-{board}",
        say=lambda _: None,
    )
    return build(load(appliance), boards.load(board), directory / f"bundle-{board}", means)


@dataclass(slots=True)
class Running:
    """A board that is on, and everything its log has said, by who said it."""

    virtual: VirtualBoard
    entries: dict[int, tuple[str, str]] = field(default_factory=dict)

    def said(self, who: str) -> list[str]:
        return [text for name, text in self.entries.values() if name == who]

    def until(self, enough: Callable[[Running], bool]) -> None:
        """Reads the log until `enough`. AssertionError with the log after a minute."""
        try:
            wait_for(self.virtual.port, SECONDS, lambda link: self._read(link, enough))
        except CoffretError as error:
            said = "\n".join(f"{who}: {text}" for who, text in self.entries.values())
            raise AssertionError(f"{error}; the log so far:\n{said}") from error

    def _read(self, link: Board, enough: Callable[[Running], bool]) -> bool | None:
        while new := link.log(max(self.entries, default=-1) + 1)[1]:
            self.entries |= {entry.sequence: (entry.who, entry.text) for entry in new}
        return enough(self) or None


@contextmanager
def running(bundle: Bundle, directory: Path, extra: Sequence[str] = ()) -> Iterator[Running]:
    """The bundle on its emulated board; `extra` are more of the emulator's arguments."""
    board = boards.load(bundle.facts.board)
    state = directory / "state"
    state.mkdir()
    boot = bundle.path("boot").with_name("boot.bin").read_bytes()
    make_flash(board, state / "flash.bin", bundle.path("slot_a").read_bytes(), boot)
    with VirtualBoard(board, bundle.path("boot"), state, root=directory, extra=extra) as virtual:
        yield Running(virtual)
