# SPDX-License-Identifier: Apache-2.0
"""Boot starts nothing that is wrong anywhere, and says why: reasons, each by a changed image."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.boot import device
from tests.boot.crafted import Crafted
from tests.boot.device import Kit, handoff_of
from tests.qemu import FlashFile, needs_qemu

pytestmark = needs_qemu

FOREIGN_KEY = ec.derive_private_key(0xBAD, ec.SECP256R1())


def reason_without_start(kit: Kit, flash: FlashFile) -> int:
    """The reason that boot records when it finds nothing to start; fails if it starts something."""
    with kit.on(flash) as machine:
        machine.port.settimeout(0.01)
        end = time.monotonic() + 60
        while (reason := kit.last_reason(flash)) == 0:
            assert time.monotonic() < end, "boot recorded no reason"
            try:
                said = machine.port.recv(100)
            except TimeoutError:
                continue
            assert not said, f"boot started the image: {said!r}"
        # It stays where it is: no image speaks up afterwards.
        machine.port.settimeout(0.2)
        with pytest.raises(TimeoutError):
            machine.port.recv(100)
    return reason


def test_crafted_image_that_is_right_starts(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", Crafted(kit).build())
    with kit.on(flash) as machine:
        assert handoff_of(machine).last_reason == device.OK


WRONG: dict[str, tuple[int, dict[str, object]]] = {
    "no magic": (device.NO_IMAGE, {"magic": 0x96F3B83C}),
    "header size": (device.HEADER, {"header_size": 0x20}),
    "flags: encrypted": (device.HEADER, {"flags": 0x104}),
    "no protected area": (device.HEADER, {"protected_size": 0}),
    "other slot's address": (device.SLOT_ADDRESS, {"address": 0x2108_0000}),
    "body as large as the address space": (device.TOO_LARGE, {"body_size": 0xFFFF_FFFF}),
    "body that wraps to a small sum": (device.TOO_LARGE, {"body_size": 0xFFFF_FF00}),
    "body larger than the slot": (device.TOO_LARGE, {"body_size": 0x8_0000}),
    "protected area behind the slot": (
        device.TOO_LARGE,
        {"body_size": 0x7_FE00 - 0x100, "protected_size": 0xFFFF},
    ),
    "no room for TLVs": (device.TOO_LARGE, {"body_size": 0x7_FE00 - 6, "protected_size": 4}),
    "protected magic": (device.TLV, {"protected_magic": 0x6907}),
    "open magic": (device.TLV, {"open_magic": 0x6908}),
    "open area empty of itself": (device.TLV, {"open_size": 3}),
    "open area behind the slot": (device.TLV, {"open_size": 0xFFFF}),
    "open area cut inside an entry": (device.TLV, {"open_size": 4 + 36 + 20}),
    "open area cut inside an entry's head": (device.TLV, {"open_size": 4 + 36 + 2}),
    "an entry twice": (device.TLV, {"more_open": ((0x01, bytes(32)),)}),
    "an unknown open entry": (device.TLV, {"more_open": ((0x24, bytes(64)),)}),
    "counter of three bytes": (device.TLV, {"counter": bytes(3)}),
    "counter twice": (device.TLV, {"more_protected": ((0x50, bytes(4)),)}),
    "no counter": (device.TLV, {"leave_out": frozenset({0x50})}),
    "other board": (device.BOARD, {"board": b"mps2-an386"}),
    "board's name cut": (device.BOARD, {"board": b"mps2-an38"}),
    "no board": (device.BOARD, {"leave_out": frozenset({0xA2})}),
    "no hash": (device.NO_HASH, {"leave_out": frozenset({0x10})}),
    "wrong hash": (device.HASH, {"digest": bytes(32)}),
    "no key": (device.KEY, {"leave_out": frozenset({0x01})}),
    "no signature": (device.NO_SIGNATURE, {"leave_out": frozenset({0x22})}),
    "signature of zeros": (device.SIGNATURE, {"signature": bytes.fromhex("3006020100020100")}),
    "signature that is no DER": (device.SIGNATURE, {"signature": bytes(70)}),
    "no policy digest": (device.NO_POLICY, {"policy": None}),
}


@pytest.mark.parametrize("what", WRONG)
def test_image_wrong_in_one_place_is_refused(kit: Kit, tmp_path: Path, what: str) -> None:
    reason, changes = WRONG[what]
    flash = kit.flash(tmp_path / "nv", Crafted(kit).but(**changes).build())
    if reason == device.NO_IMAGE:
        flash.write_slot(1, Crafted(kit, slot=1).but(magic=0).build())
    assert reason_without_start(kit, flash) == reason


def test_image_of_an_unknown_signer_is_refused(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0, key=FOREIGN_KEY))
    assert reason_without_start(kit, flash) == device.KEY


def test_image_for_the_other_slot_is_refused(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(1))
    assert reason_without_start(kit, flash) == device.SLOT_ADDRESS


def test_signature_of_another_image_is_refused(kit: Kit, tmp_path: Path) -> None:
    other = kit.image(0, version="1.0.1")
    signature = other[other.rindex(b"\x22\x00", 0, -8) + 4 :]
    flash = kit.flash(tmp_path / "nv", Crafted(kit).but(signature=signature).build())
    assert reason_without_start(kit, flash) == device.SIGNATURE


def test_every_sampled_bit_flip_is_refused(kit: Kit, tmp_path: Path) -> None:
    """Anywhere in the image, header padding and both TLV areas included."""
    image = kit.image(0)
    head, tail = len(image) - 560, 32
    places = [*range(0, tail), *range(head, len(image))]
    draw = random.Random(385)
    chosen = [*draw.sample(places, 20), *draw.sample(range(len(image)), 10)]
    for place in chosen:
        changed = bytearray(image)
        changed[place] ^= 1 << draw.randrange(8)
        flash = kit.flash(tmp_path / "nv", bytes(changed))
        # With an active slot recorded, "no image" is a reason worth recording too.
        assert reason_without_start(kit, flash) != device.OK, f"byte {place}"


def test_board_without_a_secret_stops_in_recovery(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0), uds=b"")
    assert reason_without_start(kit, flash) == device.IDENTITY


@pytest.mark.parametrize("secret", [b"\xff" * 32, bytes(32)], ids=["erased", "zero"])
def test_secret_that_was_never_written_is_no_secret(
    kit: Kit, tmp_path: Path, secret: bytes
) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0), uds=secret)
    assert reason_without_start(kit, flash) == device.IDENTITY
