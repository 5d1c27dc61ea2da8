# SPDX-License-Identifier: Apache-2.0
"""Boot's own build: reproducible, and only for keys that can work."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.trust import Trust, TrustError, key_hash
from tests.boot.device import Kit, handoff_of
from tests.qemu import FlashFile, Machine, needs_qemu

KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8)]


def test_boot_reproduces_in_another_place_without_a_cache(kit: Kit, tmp_path: Path) -> None:
    toolchain = zig_toolchain(tmp_path / "cache")
    trust = Trust.of([kit.key.public_key()])
    again = build_boot(kit.board, trust, toolchain, find_tree(MBEDTLS), tmp_path / "elsewhere")
    assert again.binary.read_bytes() == kit.boot.binary.read_bytes()
    assert again.elf.read_bytes() == kit.boot.elf.read_bytes()
    assert again.digest == kit.boot.digest


@needs_qemu
def test_boot_starts_images_of_each_of_its_keys(kit: Kit, tmp_path: Path) -> None:
    trust = Trust.of(key.public_key() for key in KEYS)
    boot = build_boot(kit.board, trust, zig_toolchain(), find_tree(MBEDTLS), tmp_path)
    assert boot.digest != kit.boot.digest, "the keys are measured"
    for key in KEYS:
        flash = FlashFile.factory(kit.board, tmp_path / "nv")
        flash.write_slot(0, kit.image(0, key=key))
        with Machine(kit.board, boot.elf, flash) as machine:
            assert handoff_of(machine).signer_id == key_hash(key.public_key())


def test_key_hash_is_that_of_the_public_key_info() -> None:
    key = KEYS[0].public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key_hash(key) == hashlib.sha256(der).digest()


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ([], "no signing key"),
        ([KEYS[0].public_key()] * 2, "twice"),
        ([ec.derive_private_key(7, ec.SECP384R1()).public_key()], "secp384r1"),
    ],
)
def test_keys_that_cannot_work_are_refused(
    keys: list[ec.EllipticCurvePublicKey], what: str
) -> None:
    with pytest.raises(TrustError, match=what):
        Trust.of(keys)


@pytest.mark.parametrize("threshold", [0, 3])
def test_threshold_that_no_image_could_reach_is_refused(threshold: int) -> None:
    with pytest.raises(TrustError, match=f"{threshold} signatures of 2 keys"):
        Trust.of((key.public_key() for key in KEYS), threshold)
