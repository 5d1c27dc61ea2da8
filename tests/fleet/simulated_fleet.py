# SPDX-License-Identifier: Apache-2.0
"""Simulated boards by the dozen: the real protocol, byte for byte, over pseudo-terminals.

Each has two slots, recovery, trial boots, an identity and evidence from real keys; what it lacks is
a processor. `python -m tests.fleet.simulated_fleet BUNDLE ROOT PREFIX COUNT` serves COUNT of them,
in processes of ten, and announces them in ROOT as virtual boards, until its standard input ends.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import attest
from attest import dice
from attest.corim import ReferenceValues
from flasher.bundle import parse_image
from flasher.reasons import IMAGE_ERRORS, Reason
from flasher.state import Run, StateLock, announce, withdraw
from tests.attest.simulated_device import SimulatedDevice
from tests.flasher.fake_application import SECURED, Application
from tests.flasher.fake_board import FakeBoard

PROCESS = 10  # boards in one process
LINE_BYTES_S = 115_200 / 10  # eight bits between a start and a stop bit
BASE64 = 4 / 3
IMAGE_GROUP = 1  # of SMP: image management
IMAGE_MAGIC = 0x96F3_B83D.to_bytes(4, "little")  # of MCUboot's image header
SLOT_BYTES = 0x8_0000
SLOT_A = 0x2100_0000


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a board is: bytes a second on its line, seconds to start and check an image."""

    line: float = 0.0
    start_s: float = 0.0


INSTANT = Pace()
REAL = Pace(LINE_BYTES_S, 1.0)


@dataclass(slots=True)
class SimulatedBoard(Application):
    """A blank board. `firmware` is what each image measures to, by the image's digest."""

    firmware: Mapping[bytes, ReferenceValues] = field(default_factory=dict)
    pace: Pace = INSTANT
    expected: int = 0
    tampered: bool = False  # what it runs is not what its image says
    uploads: int = 0
    ready: float = 0.0  # it says nothing while it starts

    def now(self) -> Application:
        super(SimulatedBoard, self).now()
        time.sleep(max(0.0, self.ready - time.monotonic()))
        return self

    def _expected(self) -> int:
        return self.expected

    def _upload(self, asked: dict[str, object]) -> dict[str, object]:
        data = asked["data"]
        assert isinstance(data, bytes)
        if asked["off"] == 0 and data[:4] != IMAGE_MAGIC:  # its manager takes no deltas
            self.refusal = (1 - self.running, Reason.NO_IMAGE)
            return {"err": {"group": IMAGE_GROUP, "rc": IMAGE_ERRORS[Reason.NO_IMAGE]}}
        if asked["off"] == 0:
            length = asked["len"]
            assert isinstance(length, int)
            self.expected, self.upload = length, bytearray()
            self.uploads += 1
        elif asked["off"] != len(self.upload):
            return {"off": len(self.upload)}  # the client goes on from here
        if self.pace.line:
            time.sleep(len(data) * BASE64 / self.pace.line)
        answer = super(SimulatedBoard, self)._upload(asked)
        if len(self.upload) == self.expected:
            image = parse_image(bytes(self.upload))
            if image.digest not in self.firmware:
                self.slots[(image.load_address - SLOT_A) // SLOT_BYTES] = None
                self.refusal = ((image.load_address - SLOT_A) // SLOT_BYTES, 11)
                return {"rc": 1}
            time.sleep(self.pace.start_s / 2)  # it checks the signature
        return answer

    def _restart(self) -> None:
        self.ready = time.monotonic() + self.pace.start_s
        if self.mode == "recovery":
            present = [slot for slot, data in enumerate(self.slots) if data is not None]
            if not present:
                self.started = time.monotonic()
                return
            self.mode, self.running, self.active = "application", present[0], present[0]
        super(SimulatedBoard, self)._restart()
        running = self.slots[self.running]
        assert running is not None
        image = parse_image(running)
        measured = self.firmware[image.digest]
        self.device = replace(
            self.device,
            boot=measured.boot,
            image=image.digest,
            policy=measured.policy,
            signer_id=measured.signer_id,
            counter=measured.security_counter,
            runtime=bytes(32) if self.tampered else measured.runtime,
            enclaves=measured.enclaves,
            version=measured.version,
        )


def firmware_of(bundles: Sequence[Path]) -> dict[bytes, ReferenceValues]:
    """What the images of these bundles measure to."""
    found = {}
    for bundle in bundles:
        references = attest.load_bundle(bundle)
        found[references.image_a] = found[references.image_b] = references
    return found


def blank(firmware: Mapping[bytes, ReferenceValues], pace: Pace = INSTANT) -> SimulatedBoard:
    """A new board with a secret of its own."""
    any_of = next(iter(firmware.values()))
    device = SimulatedDevice(
        secret=secrets.token_bytes(32),
        board=any_of.board,
        boot=any_of.boot,
        lifecycle=0x2000,
        mode=int(dice.Mode.DEBUG),
    )
    return SimulatedBoard(
        [None, None],
        device=device,
        mode="recovery",
        firmware=firmware,
        pace=pace,
    )


@contextmanager
def plugged_in(board: SimulatedBoard, serial: str, root: Path) -> Iterator[FakeBoard]:
    """A port to the board, announced in `root`; several are several cables to one board."""
    state = root / serial
    state.mkdir(mode=0o700)
    lock = StateLock(state)
    with board.board() as port:
        run = Run(serial, board.device.board, "", "", os.getpid(), str(state), port.port, ())
        announce(root, run)
        try:
            yield port
        finally:
            withdraw(root, run)
            lock.release()


def provisioned(board: SimulatedBoard) -> bool:
    """Whether the board has all that provisioning gives it."""
    return bool(board.endorsement) and board.device.lifecycle == SECURED


def _serve(bundle: Path, root: Path, serials: list[str], pace: Pace, stop: int, ready: int) -> None:
    firmware = firmware_of([bundle])
    with ExitStack() as stack:
        for serial in serials:
            stack.enter_context(plugged_in(blank(firmware, pace), serial, root))
        os.write(ready, b".")
        os.read(stop, 1)  # until the parent is gone


def main() -> None:
    """Serves boards until standard input ends."""
    options = argparse.ArgumentParser()
    options.add_argument("bundle", type=Path)
    options.add_argument("root", type=Path)
    options.add_argument("prefix")
    options.add_argument("count", type=int)
    options.add_argument("--real", action="store_true", help="as slow as a line of 115,200 baud")
    asked = options.parse_args()
    serials = [f"{asked.prefix}{number:04}" for number in range(asked.count)]
    pace = REAL if asked.real else INSTANT
    stop, alive = os.pipe()
    told, ready = os.pipe()
    context = multiprocessing.get_context("fork")
    children = []
    for first in range(0, len(serials), PROCESS):
        part = serials[first : first + PROCESS]
        child = context.Process(
            target=_child, args=(asked.bundle, asked.root, part, pace, stop, ready, alive)
        )
        child.start()
        children.append(child)
    os.close(ready)
    for _ in children:
        assert os.read(told, 1), "boards did not start"
    print("ready", flush=True)
    sys.stdin.read()
    os.close(alive)
    for child in children:
        child.join()


def _child(
    bundle: Path, root: Path, serials: list[str], pace: Pace, stop: int, ready: int, alive: int
) -> None:
    os.close(alive)
    _serve(bundle, root, serials, pace, stop, ready)


if __name__ == "__main__":
    main()
