# SPDX-License-Identifier: Apache-2.0
"""`coffret run`: a bundle on a virtual board until Ctrl-C."""

from __future__ import annotations

import codecs
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import boards
from flasher.bridge import Tap
from flasher.bundle import Bundle
from flasher.errors import BadFileError, EmulatorError
from flasher.state import FLASH_FILE, THROWAWAY_FILE, new_state, runtime_root
from flasher.virtual import VirtualBoard, make_flash


@contextmanager
def board_of(
    bundle: Bundle,
    *,
    state: Path | None = None,
    blank: bool = False,
    taps: tuple[Tap, ...] = (),
    root: Path | None = None,
) -> Iterator[VirtualBoard]:
    """A running virtual board with the bundle's boot.

    A new board gets the bundle's slot A from its factory, unless `blank`. A state directory that
    has a flash already is a board that was switched off, and goes on. Without `state` the board is
    a new one that is thrown away at the end.
    """
    board = boards.load(bundle.board)
    root = runtime_root() if root is None else root
    folder = _state(root, bundle.appliance, state)
    try:
        flash = folder / FLASH_FILE
        if not flash.exists():
            image = None if blank else bundle.files["slot_a"].read_bytes()
            make_flash(board, flash, image, _boot_binary(bundle) if board.boot_in_flash else None)
        elif blank:
            raise BadFileError(
                f"{flash}: this board is not new, so it cannot be blank",
                "leave out --blank, or give a new --state directory",
            )
        with VirtualBoard(
            board,
            bundle.files["boot"],
            folder,
            appliance="" if blank else bundle.appliance,
            version="" if blank else bundle.version,
            taps=taps,
            root=root,
        ) as running:
            if state is None:
                # Not before the board holds the directory's lock, or a neighbour would clear it.
                (folder / THROWAWAY_FILE).touch()
            yield running
    finally:
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)


def _boot_binary(bundle: Bundle) -> bytes:
    """Boot as it lies in memory; beside its ELF."""
    path = bundle.files["boot"].with_suffix(".bin")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadFileError(f"{path}: {error.strerror}", "build the bundle again") from error


def _state(root: Path, appliance: str, wanted: Path | None) -> Path:
    if wanted is None:
        return new_state(root, appliance)
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadFileError(f"{wanted}: {error.strerror}", "choose another --state") from error
    return wanted


def serve(
    bundle: Bundle,
    *,
    state: Path | None,
    blank: bool,
    ready: Callable[[VirtualBoard], None],
    output: BinaryIO,
    terminal: bool,
) -> None:
    """Runs the board in the foreground; what its first stream sends goes to `output`.

    Returns on SIGINT or SIGTERM. Raises EmulatorError when the emulator ends by itself.
    """
    # A service manager stops with SIGTERM: the same clean end as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with board_of(
            bundle, state=state, blank=blank, taps=(_writer(output, terminal),)
        ) as running:
            ready(running)
            said = running.wait()
            raise EmulatorError(
                f"the emulator ended: {said or 'it said nothing'}",
                "run it again; if it happens again, report it with the emulator's version",
            )
    except KeyboardInterrupt:
        return


def _writer(output: BinaryIO, terminal: bool) -> Tap:
    """To a terminal only harmless characters, to a file or pipe the very bytes."""

    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(data: bytes) -> None:
        # Nobody reads any more (`| head`)? The board goes on without a listener.
        with suppress(OSError, ValueError):
            output.write(_harmless(decoder.decode(data)).encode() if terminal else data)
            output.flush()

    return write


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
