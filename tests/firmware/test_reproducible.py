# SPDX-License-Identifier: Apache-2.0
"""A bundle is the same wherever, whenever and by whomever it is built, with warm caches and cold.

Two processes build it: one here, one in surroundings that share nothing with it but the sources
and the signing key (tests/firmware/elsewhere.py).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.firmware.builds import TEST_KEY
from tests.firmware.elsewhere import REPOSITORY, Place, elsewhere, here

LONG = pytest.mark.all
EVERY = [
    ("hello", "mps2-an385"),
    *(
        pytest.param(example, board, marks=LONG)
        for example, board in (
            ("hello", "rpi-pico"),
            ("hello", "mps2-an505"),
            ("doorbell", "mps2-an385"),
            ("heart_diary", "mps2-an385"),
            ("heart_diary", "rpi-pico"),
            ("thermometer", "mps2-an385"),
            ("thermometer", "mps2-an505"),
        )
    ),
]


def _key(place: Place) -> Path:
    pem = TEST_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = place.home / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem)
    place.own(path)
    return path


def _build(place: Place, key: Path, example: str, board: str) -> dict[str, bytes]:
    """The bundle's files by name."""
    folder = place.home / "bundle"
    appliance = place.checkout / "examples" / example
    place.coffret("build", appliance, "--board", board, "-o", folder, "--key", key)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize(("example", "board"), EVERY)
def test_another_user_elsewhere_at_another_time_builds_the_same_bits(
    example: str, board: str, tmp_path: Path
) -> None:
    place = here(tmp_path)
    with elsewhere() as other:
        mine = _build(place, _key(place), example, board)
        key = _key(other)
        cold = _build(other, key, example, board)
        brought = other.give(tmp_path / "bundle", "brought")
        warm = other.coffret("rebuild", brought, "--key", key)
    assert len(mine) > 10
    assert set(mine) == set(cold)
    assert [name for name in mine if mine[name] != cold[name]] == []
    assert warm.stdout.endswith("brought reproduces\n")
    for name, data in mine.items():
        for place_name in (str(REPOSITORY), str(Path.home()), str(tmp_path)):
            assert place_name.encode() not in data, name


def test_elsewhere_is_elsewhere(tmp_path: Path) -> None:
    one = here(tmp_path).facts()
    with elsewhere() as place:
        other = place.facts()
        assert other["file"] == str(place.checkout / "firmware" / "__init__.py")
    assert one["file"] == str(REPOSITORY / "firmware" / "__init__.py")
    assert (one["year"], other["year"]) == (datetime.now(UTC).year, 2031)
    assert other["encoding"] == "ISO-8859-9"
    assert other["zone"] == -14 * 3600
    if os.getuid() == 0:  # nobody else may become another user
        assert (one["user"], other["user"]) == (0, 65534)
