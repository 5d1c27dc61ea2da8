# SPDX-License-Identifier: Apache-2.0
"""A device's life goes one way: who may end it, what is left then, and that nothing leads back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.image.decommission import order
from firmware.image.signer import ImageSigner, LocalSigner
from flasher.reasons import Reason
from tests.boot.device import Handoff, Kit, answers_in_recovery, handoff_of
from tests.qemu import UDS_MAGIC, FlashFile, needs_qemu

pytestmark = needs_qemu

LIFECYCLE, ENDORSEMENT, BOOT_COUNT, CERTIFICATE, ORDER = 3, 4, 5, 6, 10
DECOMMISSIONED = b"\x00\x60"
FOREIGN = ec.derive_private_key(0xBAD, ec.SECP256R1())
UDS = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Forger:
    """A signature that nobody made."""

    public_key: ec.EllipticCurvePublicKey

    def sign_digest(self, digest: bytes) -> bytes:
        return LocalSigner(FOREIGN).sign_digest(digest)


def start_with(kit: Kit, flash: FlashFile, content: bytes) -> None:
    """Puts an order into the store, as the running image does."""
    with kit.on(flash) as machine:
        handoff_of(machine)
        assert machine.ask(f"o{content.hex()}") == "OK"


def starts(kit: Kit, flash: FlashFile) -> Handoff:
    with kit.on(flash) as machine:
        return handoff_of(machine)


def board(kit: Kit, path: Path, uds: bytes = UDS) -> tuple[FlashFile, bytes]:
    """A secured board that has run, and its instance id."""
    flash = kit.flash(path, kit.image(0), uds=uds)
    with kit.on(flash) as machine:
        told = handoff_of(machine)
        assert machine.ask("l") == "OK"
    return flash, told.instance_id


def secrets_of(kit: Kit, flash: FlashFile) -> bytes:
    extent = kit.board.flash.secrets
    return flash.read(extent.offset, extent.size)


def is_over(kit: Kit, flash: FlashFile) -> bool:
    """Boot stops in recovery and says why; nothing secret is left in the flash."""
    with kit.on(flash) as machine:
        assert answers_in_recovery(machine)
    kept = kit.records(flash)
    assert kit.last_reason(flash) == Reason.DECOMMISSIONED
    assert not {ENDORSEMENT, CERTIFICATE, ORDER, 7} & kept.keys()
    whole = flash.path.read_bytes()
    assert UDS not in whole
    assert set(secrets_of(kit, flash)) == {0xFF}
    return kept[LIFECYCLE] == DECOMMISSIONED


def test_order_of_the_signing_key_ends_the_device(kit: Kit, tmp_path: Path) -> None:
    flash, device = board(kit, tmp_path / "nv")
    certificate = kit.records(flash)[CERTIFICATE]
    start_with(kit, flash, order(device, [LocalSigner(kit.key)]))
    assert is_over(kit, flash)
    assert certificate[:32] not in flash.path.read_bytes(), "the bank before is erased too"
    assert is_over(kit, flash), "and so it stays"


def test_secret_written_again_is_erased_again(kit: Kit, tmp_path: Path) -> None:
    flash, device = board(kit, tmp_path / "nv")
    start_with(kit, flash, order(device, [LocalSigner(kit.key)]))
    assert is_over(kit, flash)
    flash.write(kit.board.flash.secrets.offset, UDS_MAGIC + UDS)
    assert is_over(kit, flash)


def test_order_replayed_to_another_device_ends_nothing(kit: Kit, tmp_path: Path) -> None:
    _, device = board(kit, tmp_path / "first")
    flash, other = board(kit, tmp_path / "second", bytes(range(1, 33)))
    assert device != other
    start_with(kit, flash, order(device, [LocalSigner(kit.key)]))
    assert starts(kit, flash).lifecycle == 0x3000
    assert kit.records(flash)[ORDER] == b"", "a false order is forgotten"
    assert starts(kit, flash).instance_id == other


@pytest.mark.parametrize("what", ["foreign", "false", "unsigned", "cut", "longer", "not one"])
def test_order_that_nobody_may_give_ends_nothing(kit: Kit, tmp_path: Path, what: str) -> None:
    flash, device = board(kit, tmp_path / "nv")
    good = order(device, [LocalSigner(kit.key)])
    orders: dict[str, bytes] = {
        "foreign": order(device, [LocalSigner(FOREIGN)]),
        "false": order(device, [Forger(kit.key.public_key())]),
        "unsigned": good[:2] + b"\x04\x00",
        "cut": good[:-1],
        "longer": good + b"\0",
        "not one": bytes(range(100)),
    }
    start_with(kit, flash, orders[what])
    told = starts(kit, flash)
    assert (told.lifecycle, told.instance_id) == (0x3000, device)
    assert secrets_of(kit, flash).startswith(UDS_MAGIC + UDS)


def test_signers_are_the_protocol() -> None:
    signer: ImageSigner = Forger(FOREIGN.public_key())
    assert signer.public_key
