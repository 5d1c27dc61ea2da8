# SPDX-License-Identifier: Apache-2.0
"""A board with a radio module proves which firmware of it its image was built for."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from flasher.bundle import read_bundle
from flasher.run import board_of
from tests.acceptance.conftest import EXAMPLES, User


def _built(user: User, name: str, firmware: bytes) -> Path:
    appliance = user.home / f"{name}-source"
    shutil.copytree(EXAMPLES / "hello", appliance)
    (appliance / "radio.bin").write_bytes(firmware)
    digest = hashlib.sha256(firmware).hexdigest()
    table = f'\n[radio]\nfirmware = "radio.bin"\nsha256 = "{digest}"\n'
    manifest = appliance / "appliance.toml"
    manifest.write_text(manifest.read_text() + table)
    return user.build(appliance, name, "--board", "nano-rp2040")


@pytest.mark.all
def test_evidence_has_the_radio_and_names_another_one(user: User) -> None:
    bundle, other = _built(user, "radio", b"one" * 999), _built(user, "radio2", b"two" * 999)
    with board_of(read_bundle(bundle), root=user.home) as board:
        provisioned = user.coffret("provision", "--port", board.port)
        assert provisioned.code == 0, provisioned.err
        attest = ("attest", "--port", board.port, "--json", "--bundle")
        good = user.coffret(*attest, bundle)
        assert good.code == 0, good.out
        assert good.claims()["radio"]
        changed = user.coffret(*attest, other)
    assert changed.code == 1
    assert changed.differing() == {"appliance", "radio"}
    (claim,) = (c for c in json.loads(changed.out)["claims"] if c["claim"] == "radio")
    assert claim["found"] == hashlib.sha256(b"one" * 999).hexdigest()
