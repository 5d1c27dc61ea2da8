# SPDX-License-Identifier: Apache-2.0
"""Whose signature counts: thresholds, revoked keys, development keys, and images played again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust, TrustedKey
from firmware.image.writer import ImageContent, add_signature, unsigned_image
from tests.boot import device
from tests.boot.device import Kit, handoff_of
from tests.boot.test_choice import start
from tests.boot.test_refusals import reason_without_start
from tests.qemu import needs_qemu

pytestmark = needs_qemu

OLD, NEW, SPARE, STRANGER = (ec.derive_private_key(n, ec.SECP256R1()) for n in (11, 12, 13, 14))
KEY_FLOOR = 9


def signed(
    kit: Kit, slot: int, version: str, *keys: ec.EllipticCurvePrivateKey, **more: int
) -> bytes:
    content = ImageContent(Version.parse(version), 1, b"\x11" * 32, b"\x22" * 32, **more)
    image = unsigned_image(kit.bodies[slot], slot, kit.board, content, NEW.public_key())
    for key in keys:
        image = add_signature(image, LocalSigner(key))
    return image


def trusting(kit: Kit, trust: Trust, out: Path) -> Kit:
    boot = build_boot(kit.board, trust, zig_toolchain(), find_tree(MBEDTLS), out)
    return replace(kit, boot=boot)


@pytest.fixture(scope="module")
def two_of_three(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    trust = Trust.of((key.public_key() for key in (OLD, NEW, SPARE)), threshold=2)
    return trusting(kit, trust, tmp_path_factory.mktemp("threshold"))


@pytest.fixture(scope="module")
def generations(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """OLD is of generation 0, NEW and SPARE of 1; STRANGER is a development key."""
    trust = Trust(
        (
            TrustedKey(OLD.public_key()),
            TrustedKey(NEW.public_key(), generation=1),
            TrustedKey(SPARE.public_key(), generation=1),
            TrustedKey(STRANGER.public_key(), generation=1, development=True),
        )
    )
    return trusting(kit, trust, tmp_path_factory.mktemp("generations"))


# ---- k of n ----


@pytest.mark.parametrize("keys", [(OLD, NEW), (SPARE, OLD), (NEW, STRANGER, SPARE)])
def test_two_of_three_keys_start_an_image(
    two_of_three: Kit, tmp_path: Path, keys: tuple[ec.EllipticCurvePrivateKey, ...]
) -> None:
    flash = two_of_three.flash(tmp_path / "nv", signed(two_of_three, 0, "1.0.0", *keys))
    assert start(two_of_three, flash).slot == 0


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((), device.NO_SIGNATURE),
        ((OLD,), device.THRESHOLD),
        ((NEW, STRANGER), device.THRESHOLD),
        ((STRANGER, OLD, NEW), device.KEY),  # the first names the signer
    ],
)
def test_one_signature_less_is_refused(
    two_of_three: Kit,
    tmp_path: Path,
    keys: tuple[ec.EllipticCurvePrivateKey, ...],
    reason: int,
) -> None:
    flash = two_of_three.flash(tmp_path / "nv", signed(two_of_three, 0, "1.0.0", *keys))
    assert reason_without_start(two_of_three, flash) == reason


def test_one_signature_twice_is_one(two_of_three: Kit, tmp_path: Path) -> None:
    image = signed(two_of_three, 0, "1.0.0", OLD)
    start_of_area = len(signed(two_of_three, 0, "1.0.0")) - 4 - 36
    area = image[start_of_area:]
    pair = area[4 + 36 :]
    size = (len(area) + len(pair)).to_bytes(2, "little")
    twice = image[:start_of_area] + area[:2] + size + area[4:] + pair
    flash = two_of_three.flash(tmp_path / "nv", twice)
    assert reason_without_start(two_of_three, flash) == device.THRESHOLD


def test_false_second_signature_is_refused(two_of_three: Kit, tmp_path: Path) -> None:
    image = bytearray(signed(two_of_three, 0, "1.0.0", OLD, NEW))
    image[-1] ^= 1
    flash = two_of_three.flash(tmp_path / "nv", bytes(image))
    assert reason_without_start(two_of_three, flash) == device.SIGNATURE


# ---- revocation ----


def test_confirmed_image_revokes_older_keys_for_ever(generations: Kit, tmp_path: Path) -> None:
    flash = generations.flash(tmp_path / "nv", signed(generations, 0, "1.0.0", OLD))
    start(generations, flash)
    flash.write_slot(1, signed(generations, 1, "2.0.0", NEW, revokes_below=1))
    start(generations, flash, "t")
    assert start(generations, flash, "c").trial == 1
    assert KEY_FLOOR not in generations.records(flash), "nothing is revoked by a trial"
    assert start(generations, flash).slot == 1
    assert generations.records(flash)[KEY_FLOOR] == b"\x01\x00"
    # What OLD signed is refused now, though this boot has verified it before.
    start(generations, flash, "t")
    told = start(generations, flash)
    assert (told.slot, told.last_reason) == (1, device.REVOKED)


def test_reverted_image_revokes_nothing(generations: Kit, tmp_path: Path) -> None:
    flash = generations.flash(tmp_path / "nv", signed(generations, 0, "1.0.0", OLD))
    start(generations, flash)
    flash.write_slot(1, signed(generations, 1, "2.0.0", NEW, revokes_below=1))
    start(generations, flash, "t")
    start(generations, flash)
    assert start(generations, flash).last_reason == device.NOT_CONFIRMED
    assert KEY_FLOOR not in generations.records(flash)


def test_image_cannot_revoke_its_own_signer(generations: Kit, tmp_path: Path) -> None:
    """It would run once and never again."""
    flash = generations.flash(
        tmp_path / "nv", signed(generations, 0, "1.0.0", OLD, revokes_below=1)
    )
    assert reason_without_start(generations, flash) == device.REVOKES_ITSELF


def test_image_outlives_the_revocation_of_a_spare_signer(generations: Kit, tmp_path: Path) -> None:
    image = signed(generations, 0, "1.0.0", NEW, OLD, revokes_below=1)
    flash = generations.flash(tmp_path / "nv", image)
    for _ in range(2):
        assert start(generations, flash).slot == 0
    assert generations.records(flash)[KEY_FLOOR] == b"\x01\x00"
    assert start(generations, flash).slot == 0


def test_floor_never_sinks(generations: Kit, tmp_path: Path) -> None:
    image = signed(generations, 0, "1.0.0", NEW, revokes_below=1)
    flash = generations.flash(tmp_path / "nv", image)
    start(generations, flash)
    flash.write_slot(1, signed(generations, 1, "2.0.0", SPARE))
    start(generations, flash, "t")
    start(generations, flash, "c")
    assert start(generations, flash).slot == 1
    assert generations.records(flash)[KEY_FLOOR] == b"\x01\x00"


# ---- roles ----


def test_development_key_counts_until_the_board_is_secured(
    generations: Kit, tmp_path: Path
) -> None:
    flash = generations.flash(tmp_path / "nv", signed(generations, 0, "1.0.0", STRANGER))
    assert start(generations, flash, "l").slot == 0  # verified, remembered; then secured
    assert reason_without_start(generations, flash) == device.REVOKED


# ---- an old update, played again ----


def test_update_that_was_left_behind_is_refused_when_played_again(kit: Kit, tmp_path: Path) -> None:
    recorded = kit.image(1, "2.0.0", 2)
    flash = kit.flash(tmp_path / "nv", kit.image(0, "1.0.0", 1), recorded)
    start(kit, flash)
    flash.write_slot(0, kit.image(0, "3.0.0", 3))
    with kit.on(flash) as machine:
        handoff_of(machine)
        assert machine.ask("t") == "OK"
    start(kit, flash, "c")
    flash.write_slot(1, recorded)
    start(kit, flash, "t")
    told = start(kit, flash)
    assert (told.slot, told.last_reason) == (0, device.COUNTER)
