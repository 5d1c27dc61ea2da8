# SPDX-License-Identifier: Apache-2.0
"""`coffret flash`: upload to the slot that does not run, try, and keep what proved itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from flasher.answers import SLOT_NAMES, Mode, SlotImage
from flasher.bundle import Bundle, ImageFile, read_bundle, read_image
from flasher.delta import DeltaFor
from flasher.errors import BadAnswerError, RefusedError, VerifyError
from flasher.reasons import Reason
from flasher.smp import Board, wait_for
from flasher.smp_session import Progress
from flasher.transport import Guard, unguarded

BACK_S = 30.0
# The board answers first and resets then.
_SETTLE_S = 0.2
_CLOCK_SLACK_MS = 1000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Flashed:
    """What a flash did. `changed` is False when the board ran the image already.

    `saved`: bytes that did not have to be sent, since the board made them of what it had.
    """

    slot: str
    version: str
    digest: str
    previous: str | None
    changed: bool
    saved: int = 0

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def read_source(path: Path) -> Bundle | ImageFile:
    """A bundle directory or one image file. Raises BadFileError."""
    return read_bundle(path) if path.is_dir() else read_image(path)


def flash(
    port: str,
    source: Bundle | ImageFile,
    say: Say,
    progress: Progress,
    guard: Guard = unguarded,
    deltas: DeltaFor | None = None,
) -> Flashed:
    """Flashes the board at `port` and leaves it running the new image, confirmed.

    `say` gets one line a step, `guard` is asked before each request. `deltas` may know a shorter
    way to an image from the digest of the one that runs.
    Raises RefusedError with the board's reason, and what `Board` does.
    """
    with Board.open(port, guard=guard) as board:
        mode = board.mode()
        slots = board.images()
        _require_board(board, source)
        if mode is Mode.RECOVERY:
            image = source if isinstance(source, ImageFile) else source.slot_image(0)
            say(f"the board is in recovery; uploading {image.version}")
            board.upload(image.data, progress)
            _require_held(board, image, say)
            return _start(board, image, None, say, guard, 0)
        running = _running(board, slots)
        say(f"slot {SLOT_NAMES[running.slot]} runs {running.version}")
        if running.digest in _digests(source):
            return _already(board, running, say)
        image = _for_slot(source, 1 - running.slot)
        saved = _upload(board, image, running, deltas, say, progress)
        _require_held(board, image, say)
        board.mark_test(image.digest)
        say("the board accepted it for one trial boot")
        return _start(board, image, running, say, guard, saved)


def _upload(
    board: Board,
    image: ImageFile,
    running: SlotImage,
    deltas: DeltaFor | None,
    say: Say,
    progress: Progress,
) -> int:
    """The other slot holds the image. Returns how many bytes a delta saved."""
    what = f"uploading {image.version} to slot {SLOT_NAMES[1 - running.slot]}"
    delta = None if deltas is None else deltas(image, running.digest)
    if delta is not None:
        whole = len(image.data)
        say(f"{what} as the difference to what runs: {len(delta)} bytes instead of {whole}")
        try:
            board.upload(delta, progress)
        except RefusedError as refused:
            if refused.reason is not Reason.NO_IMAGE:
                raise
            say("what runs there takes no deltas")
        else:
            return whole - len(delta)
    elif deltas is not None:
        say("no delta starts from what runs there")
    say(what)
    board.upload(image.data, progress)
    return 0


def _require_board(board: Board, source: Bundle | ImageFile) -> None:
    """Raises RefusedError before anything is sent to a board that the bundle is not for."""
    if isinstance(source, ImageFile):
        return
    try:
        says = board.identity().implementation_id
    except RefusedError:
        return  # not ours, or without a secret: it judges the image by itself
    found = re.fullmatch(rb"coffret/([a-z0-9.-]+)/[a-z-]+\0*", says)
    if found is None or found[1].decode() == source.board:
        return
    name = found[1].decode()
    raise RefusedError(
        f"{board.port}: this board is {name}, the bundle is for {source.board}",
        f"build for it: coffret build --board {name}",
    )


def _require_held(board: Board, image: ImageFile, say: Say) -> None:
    """SMP gives no bytes back: the board hashes what its flash holds. Raises VerifyError."""
    if not any(slot.digest == image.digest for slot in board.images()):
        raise VerifyError(board.port, image.load_address)
    say("the board holds it: its hash of the slot is the image's")


def _running(board: Board, slots: tuple[SlotImage, ...]) -> SlotImage:
    active = [slot for slot in slots if slot.active]
    if len(active) != 1:
        raise BadAnswerError(board.port, "image state", f"{len(active)} slots are active")
    return active[0]


def _digests(source: Bundle | ImageFile) -> tuple[bytes, ...]:
    if isinstance(source, ImageFile):
        return (source.digest,)
    return tuple(source.slot_image(slot).digest for slot in (0, 1))


def _for_slot(source: Bundle | ImageFile, slot: int) -> ImageFile:
    """The image for a slot; a single image goes as it is: the board knows its own addresses."""
    return source if isinstance(source, ImageFile) else source.slot_image(slot)


def _already(board: Board, running: SlotImage, say: Say) -> Flashed:
    say("the board runs this image already")
    if not running.confirmed:
        board.confirm()
        say("confirmed: it stays")
    return _result(running, None, changed=False)


def _start(
    board: Board,
    image: ImageFile,
    previous: SlotImage | None,
    say: Say,
    guard: Guard,
    saved: int,
) -> Flashed:
    port = board.port
    board.reset()
    reset_at = time.monotonic()
    board.close()
    say("resetting")
    time.sleep(_SETTLE_S)

    def ready(again: Board) -> Flashed | None:
        if again.mode() is Mode.RECOVERY:
            _fail(again, "no image started: the board is in recovery")
        elapsed_ms = (time.monotonic() - reset_at) * 1000
        if again.enclaves().uptime_ms > elapsed_ms + _CLOCK_SLACK_MS:
            return None  # still the session before the reset
        running = _running(again, again.images())
        if running.digest != image.digest:
            _fail(again, f"the board went back to {running.version}")
        say(f"slot {SLOT_NAMES[running.slot]} runs {running.version}")
        if not running.confirmed:
            running = _running(again, again.confirm())
        if not running.confirmed or running.digest != image.digest:
            raise BadAnswerError(port, "confirm", "the image is not confirmed after it said so")
        say("confirmed: it stays")
        return _result(running, previous, changed=True, saved=saved)

    return wait_for(port, BACK_S, ready, guard)


def _fail(board: Board, what: str) -> None:
    """Raises RefusedError with boot's reason, if it has one."""
    reason = board.refusal()
    if reason is None:
        raise RefusedError(f"{board.port}: {what}", "see the board's log")
    raise RefusedError(f"{board.port}: {what}: {reason.words}", reason.mend, reason)


def _result(
    image: SlotImage, previous: SlotImage | None, *, changed: bool, saved: int = 0
) -> Flashed:
    return Flashed(
        slot=SLOT_NAMES[image.slot],
        version=image.version,
        digest=image.digest.hex(),
        previous=None if previous is None else previous.version,
        changed=changed,
        saved=saved,
    )


def require_application(board: Board, what: str) -> None:
    """Raises RefusedError when only boot's recovery is there: it cannot do `what`."""
    if board.mode() is Mode.RECOVERY:
        raise RefusedError(
            f"{board.port}: the board is in recovery and cannot {what}",
            "flash an appliance first: coffret flash BUNDLE",
        )
