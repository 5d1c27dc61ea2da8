# SPDX-License-Identifier: Apache-2.0
"""The running image writes an update, with the power cut at every flash operation.

The C of the SMP upload, the monitor's storage, the record store, boot's choice and image check runs
on the host over a simulated flash. A step is one word programmed or one block erased; it is cut
before, in the middle (two patterns of bits), or just after. Then the board starts, and the same
update is sent again: it must arrive, be tried, and be confirmed.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import boards
from boards.config_header import config_header
from boards.model import Board
from firmware.compiler.boot_build import RUNTIME, keys_source
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust, TrustedKey
from firmware.image.writer import ImageContent, wrap_image
from firmware.planning.monitor_features import EVERYTHING, HEADER, constants, image_config
from flasher.bundle import parse_image
from flasher.delta import make_delta
from tests.boot.host_boot import load_boot
from tests.power_cuts import PowerCuts
from tests.store.store_model import records_in

HERE = Path(__file__).parent
POWER_CUT, A, B, TRIAL = 99, 0, 1, 0x100
STATE, COUNTER, LIFECYCLE, ENDORSEMENT, FLOOR, SETTING = 1, 2, 3, 4, 9, 17
KEPT = {LIFECYCLE: b"\x00\x30", ENDORSEMENT: b"endorsed" * 20, SETTING: b"a setting"}
SLOT, BANK = 0x6000, 0x800
KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
# Before; torn in two patterns; after.
CUTS = ((0, 1), (1, 1), (1, 0x9E3779B9), (2, 1))


def small_board() -> Board:
    """The virtual board with slots just larger than the distance of two upload marks."""
    facts = boards.load("mps2-an385").model_dump()
    facts["flash"] |= {
        "size": 0x10000,
        "erase_size": 0x100,
        "slot_a": {"offset": 0, "size": SLOT},
        "slot_b": {"offset": SLOT, "size": SLOT},
        "store": {"offset": 2 * SLOT, "bank_size": BANK, "banks": 2},
        "secrets": {"offset": 0xE000, "size": 0x100},
    }
    return Board(**facts)


BOARD = small_board()


def image(slot: int, body: bytes) -> bytes:
    """Slot A: version 1, counter 1. Slot B: version 2, counter 2, revokes keys of generation 0."""
    version = Version.parse(f"{slot + 1}.0.0")
    content = ImageContent(version, slot + 1, bytes(32), bytes(32), slot)
    return wrap_image(body, slot, BOARD, content, LocalSigner(KEY))


SHORT = image(B, b"next" * 16)
LONG = image(B, random.Random(4).randbytes(0x4400))  # beyond a mark, with a bit to go
# What runs shares with LONG all but every 40th byte.
SHARED = enumerate(LONG[0x200 : 0x200 + 0x4400])
RUNNING = image(A, bytes(byte ^ (at % 40 == 0) for at, byte in SHARED))
DELTA = make_delta(parse_image(RUNNING), parse_image(LONG))


@dataclass(frozen=True, slots=True)
class Device:
    """A simulated device; its flash is a value that can be put back."""

    library: ctypes.CDLL

    def flash(self) -> bytes:
        return ctypes.string_at(self.library.simulated_bytes(), BOARD.flash.size)

    def restore(self, content: bytes) -> None:
        ctypes.memmove(self.library.simulated_bytes(), content, BOARD.flash.size)

    def arm(self, step: int = -1, cut: int = 0, seed: int = 1) -> None:
        self.library.simulated_arm(step, cut, seed, -1)

    def start(self) -> int:
        """The slot that starts, and TRIAL."""
        return int(self.library.simulated_start(ctypes.byref(ctypes.c_uint32())))

    def confirm(self) -> int:
        return int(self.library.simulated_confirm(B, 2))

    def update(self, file: bytes) -> tuple[int, int]:
        """What came of it, and the offset the device went on from."""
        resumed = ctypes.c_uint32()
        result = self.library.simulated_update(file, len(file), 512, ctypes.byref(resumed))
        return result, resumed.value

    def record(self, key: int, data: bytes) -> int:
        return int(self.library.simulated_record(key, data, len(data)))

    def records(self) -> dict[int, bytes]:
        return records_in(self.flash(), BOARD.flash.store.offset, BANK, 4)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    directory = tmp_path_factory.mktemp("running")
    trust = Trust((TrustedKey(KEY.public_key(), generation=1),))
    (directory / "keys.c").write_text(keys_source(trust))
    (directory / HEADER).write_text(image_config(constants(EVERYTHING)), encoding="utf-8")
    sources = [RUNTIME / "boot/image.c", RUNTIME / "boot/choice.c", directory / "keys.c"]
    for folder in ("store", "smp", "cbor"):
        sources += sorted((RUNTIME / folder).glob("*.c"))
    sources += [RUNTIME / "monitor/storage.c", HERE / "simulated_update.c"]
    config = config_header(BOARD) + "#define SMP_DELTA\n"
    (directory / "board_config.h").write_text(config)
    library = load_boot(sources, directory, directory / "update.so")
    library.simulated_bytes.restype = ctypes.c_void_p
    return Device(library)


@pytest.fixture
def running(device: Device) -> bytes:
    """Slot A runs, confirmed and provisioned; slot B holds what an older image left there."""
    blank = bytearray(b"\xff" * BOARD.flash.size)
    blank[: len(RUNNING)] = RUNNING
    blank[SLOT : 2 * SLOT] = random.Random(1).randbytes(SLOT)
    device.arm()
    device.restore(bytes(blank))
    assert device.start() == A
    for key, payload in KEPT.items():
        assert device.record(key, payload) == 0
    assert device.start() == A
    return device.flash()


class Cuts(Protocol):
    """Cuts the power in `act` on the flash `before`, everywhere or at a sample; yields after each.

    With power back, no record that stood there is lost and no counter lower.
    """

    def __call__(
        self, scenario: str, before: bytes, act: Callable[[], object], at_most: int | None = None
    ) -> Iterator[str]: ...


@pytest.fixture
def cuts(device: Device, power_cuts: PowerCuts) -> Cuts:
    def cut(
        scenario: str, before: bytes, act: Callable[[], object], at_most: int | None = None
    ) -> Iterator[str]:
        device.arm()
        device.restore(before)
        stood = device.records()
        act()
        steps = device.library.simulated_steps()
        every = [(step, *cut) for step in range(steps) for cut in CUTS]
        chosen = every if at_most is None else random.Random(7).sample(every, at_most)
        for step, cut, seed in chosen:
            device.restore(before)
            device.arm(step, cut, seed)
            act()
            assert device.library.simulated_steps() == step + 1, "the power was not cut"
            device.arm()
            where = f"step {step} of {steps}, cut {cut}, seed {seed:#x}"
            keeps(device, stood, where)
            yield where
            keeps(device, stood, where)
        power_cuts(scenario, len(chosen))

    return cut


def keeps(device: Device, stood: dict[int, bytes], where: str) -> None:
    """Every record that was acknowledged is there; the counters are not lower."""
    found = device.records()
    for key in KEPT:
        assert found.get(key) == stood.get(key), where
    for key in (COUNTER, FLOOR):
        now, then = found.get(key, b""), stood.get(key, b"")
        assert int.from_bytes(now, "little") >= int.from_bytes(then, "little"), where


def finish(device: Device, file: bytes, where: str) -> None:
    """The same update once more, to its end: tried, confirmed, and the old keys revoked."""
    assert device.update(file)[0] == 0, where
    assert device.start() == B | TRIAL, where
    assert FLOOR not in device.records(), f"{where}: revoked while on trial"
    assert device.confirm() == 0, where
    assert device.start() == B, where
    assert device.records()[COUNTER] == (2).to_bytes(4, "little"), where
    assert device.records()[FLOOR] == (1).to_bytes(2, "little"), where


def cut_the_update(
    device: Device, cuts: Cuts, scenario: str, running: bytes, file: bytes, at_most: int | None
) -> int:
    made = 0
    for where in cuts(scenario, running, lambda: device.update(file), at_most):
        started = device.start()
        assert started in (A, B | TRIAL), where
        if started == A:
            finish(device, file, where)
        else:
            assert device.start() == A, where  # it had its one trial
        made += 1
    return made


def test_update_arrives_though_the_power_is_cut_while_it_is_written(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    assert cut_the_update(device, cuts, "upgrade", running, SHORT, 40) == 40
    assert cut_the_update(device, cuts, "upgrade", running, LONG, 30) == 30


def test_delta_update_arrives_though_the_power_is_cut_while_it_is_written(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    assert cut_the_update(device, cuts, "delta update", running, DELTA, 40) == 40


@pytest.mark.all
def test_update_arrives_wherever_the_power_is_cut(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    """Everywhere in a short update; at 1,500 of the 18,680 places of one that passes a mark."""
    made = cut_the_update(device, cuts, "upgrade", running, SHORT, None)
    made += cut_the_update(device, cuts, "upgrade", running, LONG, 1_500)
    assert made > 2_000


@pytest.mark.all
def test_delta_update_arrives_wherever_the_power_is_cut(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    """Everywhere in one that fits a page, and at 1,500 places of one that passes a mark."""
    small = make_delta(parse_image(RUNNING), parse_image(SHORT))
    made = cut_the_update(device, cuts, "delta update", running, small, None)
    made += cut_the_update(device, cuts, "delta update", running, DELTA, 1_500)
    assert made > 2_000


def test_delta_update_goes_on_from_its_mark_after_a_cut(device: Device, running: bytes) -> None:
    device.restore(running)
    device.arm()
    assert device.update(DELTA)[0] == 0
    steps = device.library.simulated_steps()
    device.restore(running)
    device.arm(steps - 40, 1)  # in the last bytes, behind the mark
    assert device.update(DELTA)[0] == POWER_CUT
    device.arm()
    assert device.start() == A
    result, resumed = device.update(DELTA)
    assert result == 0
    assert 512 < resumed < len(DELTA)
    assert device.start() == B | TRIAL


def test_update_goes_on_from_its_mark_after_a_cut(device: Device, running: bytes) -> None:
    device.restore(running)
    device.arm()
    assert device.update(LONG) == (0, 512)
    steps = device.library.simulated_steps()
    device.restore(running)
    device.arm(steps - 40, 1)  # in the last bytes, behind the mark
    assert device.update(LONG)[0] == POWER_CUT
    device.arm()
    assert device.start() == A
    result, resumed = device.update(LONG)
    assert (result, resumed) == (0, 0x4000)
    assert device.start() == B | TRIAL


def test_cut_while_confirming_revokes_and_raises_together_in_the_end(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    device.arm()
    device.restore(running)
    assert device.update(SHORT)[0] == 0
    assert device.start() == B | TRIAL
    tried = device.flash()
    for where in cuts("confirm", tried, device.confirm):
        started = device.start()
        assert started in (A, B), where
        if started == B:  # confirmed: the next start mended what the cut left undone
            assert device.records()[COUNTER] == (2).to_bytes(4, "little"), where
            assert device.records()[FLOOR] == (1).to_bytes(2, "little"), where
        else:  # it was not: back, and nothing was revoked
            assert FLOOR not in device.records(), where
            finish(device, SHORT, where)


def test_cut_in_the_start_that_revokes_still_starts_the_new_image(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    device.arm()
    device.restore(running)
    assert device.update(SHORT)[0] == 0
    assert device.start() == B | TRIAL
    assert device.confirm() == 0
    for where in cuts("key revocation", device.flash(), device.start):
        assert device.start() == B, where
        assert device.records()[FLOOR] == (1).to_bytes(2, "little"), where


def test_cut_while_a_service_writes_a_record_loses_none(
    device: Device, running: bytes, cuts: Cuts
) -> None:
    """Until the bank is full, and through the compaction that follows."""
    device.arm()
    device.restore(running)
    bank = BOARD.flash.store.offset
    number, compacted = 0, False
    while not compacted:
        number += 1
        before, payload = device.flash(), bytes([number]) * 100
        assert device.record(SETTING + 1, payload) == 0
        compacted = device.flash()[bank : bank + 12] != before[bank : bank + 12]
        compacted = compacted or device.flash()[bank + BANK :][:4] != before[bank + BANK :][:4]
    device.restore(before)
    stood = device.records()
    old = stood.get(SETTING + 1)
    put = partial(device.record, SETTING + 1, payload)
    for where in cuts("record-store compaction", before, put):
        assert device.records()[SETTING + 1] in (old, payload), where
        assert device.start() == A, where
        assert device.record(SETTING + 1, payload) == 0, where
        assert device.records()[SETTING + 1] == payload, where


def test_monitor_writes_the_lifecycle_forward_only(device: Device, running: bytes) -> None:
    device.restore(running)
    library, size = device.library, ctypes.c_size_t(2)
    store = ctypes.create_string_buffer(64)  # struct store, and room
    for recorded, written, allowed in (
        (b"\x00\x20", b"\x00\x30", True),
        (b"\x00\x30", b"\x00\x30", False),
        (b"\x00\x30", b"\x00\x20", False),
        (b"\x00\x60", b"\x00\x30", False),
        (b"\x00\x60", b"\x00\x20", False),
        (b"\x00\x30", b"\x00\x60", False),  # that is boot's to write, after it judged the order
    ):
        library.store_open(store, BOARD.flash.store.offset, BANK)
        assert library.store_put(store, LIFECYCLE, recorded, size) == 0  # as boot does
        library.storage_start()
        done = library.storage_put(LIFECYCLE, written, 2) == 0
        assert done == allowed, (recorded, written)
