# SPDX-License-Identifier: Apache-2.0
"""Keys, certificate and signatures of the device, against independent implementations."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attest import certificate, dice, p256
from firmware.image.reader import read_image
from tests.boot import device
from tests.boot.device import Handoff, Kit, handoff_of
from tests.qemu import UDS_MAGIC, FlashFile, Machine, needs_qemu

pytestmark = needs_qemu

UDS = hashlib.sha256(b"coffret test device").digest()


def start(kit: Kit, path: Path, image: bytes, *, secured: bool = False) -> Handoff:
    flash = kit.flash(path, image, uds=UDS)
    with kit.on(flash) as machine:
        told = handoff_of(machine)
        if secured:
            assert machine.ask("l") == "OK"
            machine.send(b"r\n")
            told = handoff_of(machine)
    return told


def expected(kit: Kit, image: bytes, mode: dice.Mode) -> tuple[p256.PrivateKey, bytes]:
    """Alias key and certificate, from the secret and from what lies in the slot."""
    facts = read_image(image)
    descriptor = dice.configuration_descriptor(
        kit.boot.digest, facts.policy_digest, facts.security_counter, facts.board
    )
    inputs = dice.Inputs(facts.digest, hashlib.sha256(descriptor).digest(), facts.key_hash, mode)
    alias = dice.key_pair(dice.attestation_cdi(UDS, inputs))
    identity = dice.key_pair(UDS)
    return alias, certificate.issue(identity, alias.public_key(), inputs, descriptor)


@pytest.mark.parametrize("counter", [0, 23, 24, 0xFFFF_FFFF])
def test_certificate_is_the_oracles_byte_for_byte(kit: Kit, tmp_path: Path, counter: int) -> None:
    image = kit.image(0, counter=counter)
    told = start(kit, tmp_path / "nv", image)
    alias, document = expected(kit, image, dice.Mode.DEBUG)
    assert told.certificate == document
    assert told.alias_public == p256.xy(alias.public_key())
    assert int.from_bytes(told.alias_private, "big") == alias.private_numbers().private_value


def counted_start(kit: Kit, flash: FlashFile) -> tuple[int, Handoff]:
    """Some instructions to the image, and what it was told."""
    with Machine(kit.board, kit.boot.elf, flash, ("-icount", "shift=0")) as machine:
        line = machine.line(60)
    # With that clock an instruction takes a nanosecond, a tick of the time base 40.
    return int(line.split()[3]) * 40, Handoff.parse(bytes.fromhex(line.split()[-1]))


def test_warm_start_uses_its_copy_of_the_certificate(kit: Kit, tmp_path: Path) -> None:
    """The second start does no public-key arithmetic: some 2 million instructions, not 72.

    The first one of an update knows the device's own key: two products of the generator, not three.
    """
    flash = kit.flash(tmp_path / "nv", kit.image(0), uds=UDS)
    first, cold = counted_start(kit, flash)
    later, warm = counted_start(kit, flash)
    assert later < 4_000_000 < first < 100_000_000
    same = [name for name in Handoff.__slots__ if getattr(cold, name) == getattr(warm, name)]
    assert set(Handoff.__slots__) - set(same) == {"boot_count", "boot_seed"}
    newer = kit.image(0, version="1.0.1")
    flash.write_slot(0, newer)
    update, told = counted_start(kit, flash)
    assert update < 0.92 * first
    assert told.certificate == expected(kit, newer, dice.Mode.DEBUG)[1]
    assert told.identity_public == cold.identity_public


@pytest.mark.parametrize("place", [0, 31, 32, 64, 127, 192, 194, 400])
def test_spoilt_copy_of_the_certificate_is_made_again(kit: Kit, tmp_path: Path, place: int) -> None:
    image = kit.image(0)
    flash = kit.flash(tmp_path / "nv", image, uds=UDS)
    with kit.on(flash) as machine:
        before = handoff_of(machine)
        assert machine.ask(f"k{place:04x}") == "OK"
        machine.send(b"r\n")
        after = handoff_of(machine)
    assert after.certificate == before.certificate == expected(kit, image, dice.Mode.DEBUG)[1]
    assert after.identity_public == before.identity_public
    assert after.alias_public == before.alias_public


def test_copy_of_the_certificate_is_no_other_images_nor_devices(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0), uds=UDS)
    with kit.on(flash) as machine:
        handoff_of(machine)
    newer = kit.image(0, version="1.0.1")
    flash.write_slot(0, newer)
    with kit.on(flash) as machine:
        assert handoff_of(machine).certificate == expected(kit, newer, dice.Mode.DEBUG)[1]
    flash.write(kit.board.flash.secrets.offset, UDS_MAGIC + bytes(range(32)))
    with kit.on(flash) as machine:
        told = handoff_of(machine)
    identity = p256.from_xy(told.identity_public)
    assert certificate.verify(told.certificate, identity).image_digest == told.image_digest
    assert identity != dice.key_pair(UDS).public_key()


def test_secured_lifecycle_is_normal_mode_and_another_key(kit: Kit, tmp_path: Path) -> None:
    image = kit.image(0)
    before = start(kit, tmp_path / "nv", image)
    after = start(kit, tmp_path / "nv", image, secured=True)
    assert (before.lifecycle, after.lifecycle) == (0x2000, 0x3000)
    assert after.certificate == expected(kit, image, dice.Mode.NORMAL)[1]
    assert after.alias_private != before.alias_private
    assert after.identity_public == before.identity_public


def test_certificate_verifies_under_the_identity_key(kit: Kit, tmp_path: Path) -> None:
    told = start(kit, tmp_path / "nv", kit.image(0))
    identity = p256.from_xy(told.identity_public)
    found = certificate.verify(told.certificate, identity)
    assert found.image_digest == told.image_digest
    assert found.boot_digest == kit.boot.digest
    assert p256.xy(found.alias_key) == told.alias_public
    assert told.instance_id == p256.instance_id(identity)
    assert p256.xy(dice.key_pair(UDS).public_key()) == told.identity_public


def test_boot_seed_is_derived_from_secret_and_count(kit: Kit, tmp_path: Path) -> None:
    told = start(kit, tmp_path / "nv", kit.image(0))
    count = told.boot_count.to_bytes(4, "little")
    assert told.boot_seed == HKDF(hashes.SHA256(), 32, count, b"coffret boot seed").derive(UDS)


def test_another_image_or_device_has_another_alias_key(kit: Kit, tmp_path: Path) -> None:
    one = start(kit, tmp_path / "nv", kit.image(0))
    two = start(kit, tmp_path / "nv", kit.image(0, version="1.0.1"))
    assert one.alias_private != two.alias_private
    flash = kit.flash(tmp_path / "nv", kit.image(0), uds=bytes(range(32)))
    with kit.on(flash) as machine:
        assert handoff_of(machine).identity_public != one.identity_public


def test_unprivileged_caller_signs_on_its_own_stack(kit: Kit, tmp_path: Path) -> None:
    """Boot's services need the caller's stack and boot's code, and no memory besides."""
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    key = ec.derive_private_key(0x5EED, ec.SECP256R1())
    secret = (0x5EED).to_bytes(32, "big").hex()
    with kit.on(flash) as machine:
        handoff_of(machine)
        for number in range(3):
            digest = hashlib.sha256(bytes([number])).digest()
            result, signature, used = machine.ask(f"s{secret}{digest.hex()}").split()
            assert result == "0"
            print(f"stack of p256_sign: {used} bytes")
            assert int(used) <= 2560
            wanted = key.sign(
                digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
            )
            r, s = utils.decode_dss_signature(wanted)
            assert bytes.fromhex(signature) == r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_unprivileged_caller_checks_the_other_slot(kit: Kit, tmp_path: Path) -> None:
    image, broken = kit.image(1), kit.image(1)[:-1] + b"\0"
    flash = kit.flash(tmp_path / "nv", kit.image(0), image)
    with kit.on(flash) as machine:
        handoff_of(machine)
        result, digest, used = machine.ask("v1").split()
        assert (result, digest) == ("0", read_image(image).digest.hex())
        print(f"stack of check_image: {used} bytes")
        assert int(used) <= 2560
        flash.write_slot(1, broken)
        assert machine.ask("v1").split()[0] == str(device.SIGNATURE)
