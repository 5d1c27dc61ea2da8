# SPDX-License-Identifier: Apache-2.0
"""An update with the power cut at every flash operation: something good always starts.

The C of boot's choice, image check and store runs on the host over a simulated flash; a step is one
word programmed or one block erased, and it is cut before, in the middle of, or just after.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import boards
from boards.model import Board
from firmware.compiler.boot_build import RUNTIME, keys_source
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from firmware.image.writer import ImageContent, wrap_image
from tests.boot.host_boot import load_boot
from tests.power_cuts import PowerCuts

HERE = Path(__file__).parent
POWER_CUT = 99
NONE = 0xFF
A, B, TRIAL = 0, 1, 0x100
FLASH, NOT_CONFIRMED = 14, 15
# Before; torn in two patterns; after.
CUTS = ((0, 1), (1, 1), (1, 0x9E3779B9), (2, 1))
COUNTERS = (1, 2)  # of the images in A and B


def small_board() -> Board:
    """The virtual board with little flash, so that a whole flash is a few thousand bytes."""
    facts = boards.load("mps2-an385").model_dump()
    facts["flash"] |= {
        "size": 0x4000,
        "erase_size": 0x100,
        "slot_a": {"offset": 0, "size": 0x1000},
        "slot_b": {"offset": 0x1000, "size": 0x1000},
        "store": {"offset": 0x2000, "bank_size": 0x200, "banks": 2},
        "secrets": {"offset": 0x3000, "size": 0x100},
    }
    return Board(**facts)


@dataclass(frozen=True, slots=True)
class Device:
    """A simulated device; its flash is a value that can be put back."""

    library: ctypes.CDLL
    size: int

    def flash(self) -> bytes:
        return ctypes.string_at(self.library.simulated_bytes(), self.size)

    def restore(self, content: bytes) -> None:
        ctypes.memmove(self.library.simulated_bytes(), content, self.size)

    def arm(self, step: int = -1, cut: int = 0, seed: int = 1, fail_at: int = -1) -> None:
        self.library.simulated_arm(step, cut, seed, fail_at)

    def start(self) -> tuple[int, int]:
        """(slot and trial flag, minimum security counter)."""
        minimum = ctypes.c_uint32()
        slot = self.library.simulated_start(ctypes.byref(minimum))
        return slot, minimum.value

    def mark(self, slot: int) -> int:
        return int(self.library.simulated_mark(slot))

    def confirm(self, slot: int) -> int:
        return int(self.library.simulated_confirm(slot, COUNTERS[slot]))


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    directory = tmp_path_factory.mktemp("cut")
    board = small_board()
    key = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
    (directory / "keys.c").write_text(keys_source(Trust.of([key.public_key()])))
    sources = [RUNTIME / f"boot/{name}.c" for name in ("image", "choice")]
    sources += [RUNTIME / "smp/slot_image.c", directory / "keys.c"]
    sources += [*sorted((RUNTIME / "store").glob("*.c")), HERE / "simulated_choice.c"]
    library = load_boot(sources, directory, directory / "choice.so", board)
    library.simulated_bytes.restype = ctypes.c_void_p
    blank = bytearray(b"\xff" * board.flash.size)
    for slot, version in ((A, "1.0.0"), (B, "2.0.0")):
        content = ImageContent(Version.parse(version), COUNTERS[slot], bytes(32), bytes(32))
        image = wrap_image(b"code" * 16, slot, board, content, LocalSigner(key))
        if slot == A:
            blank[: len(image)] = image
        else:
            blank[0x1000 : 0x1000 + len(image)] = image
    device = Device(library, board.flash.size)
    device.arm()
    device.restore(bytes(blank))
    yield device


@pytest.fixture
def running(device: Device) -> bytes:
    """A flash whose slot A runs, confirmed, with several starts behind it."""
    device.arm()
    blank = bytearray(device.flash())
    blank[0x2000:0x2400] = b"\xff" * 0x400
    device.restore(bytes(blank))
    device.library.simulated_confirm(A, COUNTERS[A])
    assert device.start() == (A, 1)
    return device.flash()


class Cuts(Protocol):
    """Cuts the power at every step of `act` on the flash `before`; yields with power back."""

    def __call__(
        self, scenario: str, before: bytes, act: Callable[[], object]
    ) -> Iterator[str]: ...


@pytest.fixture
def cuts(device: Device, power_cuts: PowerCuts) -> Cuts:
    def cut_everywhere(scenario: str, before: bytes, act: Callable[[], object]) -> Iterator[str]:
        device.arm()
        device.restore(before)
        act()
        steps = device.library.simulated_steps()
        every = [(step, *cut) for step in range(steps) for cut in CUTS]
        for step, cut, seed in every:
            device.restore(before)
            device.arm(step, cut, seed)
            act()
            device.arm()
            yield f"step {step} of {steps}, cut {cut}, seed {seed:#x}"
        power_cuts(scenario, len(every))

    return cut_everywhere


def after(device: Device, before: bytes, *acts: Callable[[], object]) -> bytes:
    device.arm()
    device.restore(before)
    for act in acts:
        act()
    return device.flash()


def test_cut_while_marking_starts_old_or_trial(device: Device, running: bytes, cuts: Cuts) -> None:
    for where in cuts("test", running, lambda: device.mark(B)):
        slot, minimum = device.start()
        assert slot in (A, B | TRIAL), where
        assert minimum == 1, where
        if slot == B | TRIAL:
            assert device.start() == (A, 1), where


def test_cut_while_the_trial_begins_never_gives_it_two(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    marked = after(device, running, lambda: device.mark(B))
    for where in cuts("test", marked, device.start):
        starts = [device.start()[0] for _ in range(3)]
        # It may have lost its turn, but it never has a second.
        assert starts in ([A, A, A], [B | TRIAL, A, A]), where


def test_cut_while_confirming_starts_old_or_new_with_the_right_minimum(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    tried = after(device, running, lambda: device.mark(B), device.start)
    for where in cuts("confirm", tried, lambda: device.confirm(B)):
        slot, minimum = device.start()
        # A minimum of 2 with A active would leave a board that cannot start A.
        assert (slot, minimum) in ((A, 1), (B, 2)), where
        assert device.start() == (slot, minimum), where


def test_cut_while_reverting_starts_the_old_one(device: Device, running: bytes, cuts: Cuts) -> None:
    tried = after(device, running, lambda: device.mark(B), device.start)
    for where in cuts("revert", tried, device.start):
        assert device.start() == (A, 1), where
        assert device.start() == (A, 1), where


def test_cut_while_starting_as_always_changes_nothing(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    """Also the first start after a flash, which writes the state and the memory of signatures."""
    blank = bytearray(running)
    blank[0x2000:0x2400] = b"\xff" * 0x400
    for where in cuts("first flash", bytes(blank), device.start):
        assert device.start() == (B, 2), where  # the newer one
        assert device.start() == (B, 2), where


def test_cut_twice_in_a_row_still_starts(device: Device, running: bytes, cuts: Cuts) -> None:
    """A second cut in the start that follows the first."""
    marked = after(device, running, lambda: device.mark(B))
    for where in cuts("two cuts in a row", marked, device.start):
        once = device.flash()
        for again in cuts("two cuts in a row", once, device.start):
            starts = [device.start()[0] for _ in range(2)]
            assert starts in ([A, A], [B | TRIAL, A]), f"{where}; {again}"


def test_flash_that_refuses_gives_no_trial_but_starts(device: Device, running: bytes) -> None:
    marked = after(device, running, lambda: device.mark(B))
    device.arm(fail_at=0)
    slot, _ = device.start()
    assert slot == A
    device.arm()
    device.restore(marked)
    assert device.start()[0] == B | TRIAL
