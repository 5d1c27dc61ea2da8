# SPDX-License-Identifier: Apache-2.0
"""`coffret flash` where nothing of coffret answers: by the part's ROM, or a debug probe."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import boards
from boards import Board
from boards.uf2 import Segment
from flasher import board_secrets, factory
from flasher.board_secrets import SecretSource
from flasher.bundle import Bundle
from flasher.discovery import Device, find
from flasher.errors import NoAnswerError, NotServedError
from flasher.flash import Flashed, Say
from flasher.smp import Board as Port
from flasher.smp_session import Progress
from flasher.transports.interface import Memory, Transport, program

Opener: TypeAlias = Callable[[Device, Board, str], Transport]

BACK_S = 20.0
_POLL_S = 0.5


def flash(
    device: Device,
    bundle: Bundle,
    say: Say,
    progress: Progress,
    *,
    wanted: str | None = None,
    new: bool = False,
    secret: SecretSource = board_secrets.fresh,
    opener: Opener | None = None,
) -> Flashed:
    """Writes boot and slot A through `wanted`, or the transport that serves the board as it is.

    A board that has a secret keeps it, with its identity; one that has none gets one of `secret`.
    A transport that cannot read cannot tell: there `new` says so. Raises NotServedError,
    LockedError, GoneError, VerifyError, and what `secret` does.
    """
    board = boards.load(bundle.board)
    name = wanted or device.transport or board.host.transports[0]
    require(device, board, name)
    with (opener or open_transport)(device, board, name) as transport:
        parts = factory.of_bundle(bundle, board, None)  # whatever is wrong with it, before all
        transport.enter_boot_loader()
        if isinstance(transport, Memory):
            secrets = board.flash.region(board.flash.secrets)
            held = transport.read(secrets.base, factory.SECRET_BYTES)
            new = new or not factory.has_secret(held)
        if new:
            parts = factory.of_bundle(bundle, board, secret())
            say("a new board: it gets a secret of its own")
        else:
            say("the board keeps its identity and its records")
        program(transport, _whole_sectors(parts, board), say, progress)
    image = bundle.slot_image(0)
    if transport.capabilities.verifies == "nothing":
        _see_it_run(board, image.digest, say)
    return Flashed("A", image.version, image.digest.hex(), None, changed=True)


def require(device: Device, board: Board, transport: str) -> None:
    """Raises NotServedError with the reason why `transport` cannot serve this board here."""
    if device.boards and board.name not in device.boards:
        raise NotServedError(
            f"{device.path}: this is {' or '.join(device.boards)}, the bundle is for {board.name}",
            f"build for it: coffret build --board {device.boards[0]}",
        )
    served = (*board.host.transports, *(["virtual"] if board.emulator else []))
    if transport not in served:
        raise NotServedError(
            f"{board.name} cannot be flashed by {transport}: it is reached by {', '.join(served)}",
            board.host.button or f"see what it has: coffret boards show {board.name}",
        )
    if device.mend is not None:
        raise NotServedError(f"{device.path}: cannot be used yet", device.mend)


def open_transport(device: Device, board: Board, name: str) -> Transport:
    """The transport of that name to the device. Raises NoPortError and its kin."""
    if name == "uf2":
        from flasher.transports.uf2_volume import Uf2Volume  # noqa: PLC0415

        assert board.host.uf2_family is not None
        return Uf2Volume(Path(device.path), board.host.uf2_family, board.flash.erase_size)
    if name in ("picoboot", "dfu"):
        from flasher.transports.dfu import Dfu  # noqa: PLC0415
        from flasher.transports.picoboot import Picoboot  # noqa: PLC0415
        from flasher.transports.usb_link import Bus  # noqa: PLC0415

        link = Bus().open(device.path.removeprefix("usb:"))
        return Picoboot(link) if name == "picoboot" else Dfu(link)
    if name == "cmsis-dap":
        from flasher.transports.cmsis_dap import CmsisDap  # noqa: PLC0415

        return CmsisDap(device.path, device.serial, board.host)
    if name == "an3155":
        from flasher.transports.an3155 import An3155  # noqa: PLC0415

        return An3155(device.path)
    if name == "virtual":
        from flasher.transports.virtual_flash import VirtualFlash  # noqa: PLC0415

        return VirtualFlash(Path(device.path), board)
    raise NotServedError(
        f"{name}: does not write whole boards here",
        "use another transport; esptool takes one file: coffret flash FILE --transport esptool",
    )


def _whole_sectors(parts: tuple[Segment, ...], board: Board) -> tuple[Segment, ...]:
    """The same; two parts in one sector would erase each other, so there must be none."""
    unit = board.flash.erase_size
    seen: set[int] = set()
    for part in parts:
        sectors = set(range(part.address // unit, -(-part.end // unit)))
        assert not sectors & seen, "parts of the flash are made of whole sectors (boards/model.py)"
        seen |= sectors
    return parts


def _see_it_run(board: Board, digest: bytes, say: Say) -> None:
    """Waits until the board answers SMP, and asks what it runs. Raises NoAnswerError."""
    say("the drive gives nothing back: waiting for the board to say what it runs")
    deadline = time.monotonic() + BACK_S
    while time.monotonic() < deadline:
        for device in find():
            if device.answers_for(board.name):
                with Port.open(device.path) as port:
                    if any(image.digest == digest for image in port.images()):
                        return
        time.sleep(_POLL_S)
    raise NoAnswerError(board.name, "what it runs after the copy", BACK_S)
