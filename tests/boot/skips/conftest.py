# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.trust import Trust, TrustedKey
from tests.boot.skips.skips import Outcome, Rig, make_rig
from tests.boot.skips.test_skips import BOARD, KEY, flash_with, signed


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    out = tmp_path_factory.mktemp("skips")
    trust = Trust((TrustedKey(KEY.public_key(), generation=1),))
    boot = build_boot(BOARD, trust, zig_toolchain(), find_tree(MBEDTLS), out)
    return make_rig(BOARD, boot, out)


@pytest.fixture(scope="session")
def running(rig: Rig) -> bytes:
    """Slot A runs, signed, confirmed and remembered; slot B is empty."""
    outcome, flash = rig.start(flash_with(rig, signed(0)))
    assert outcome is Outcome.STARTED_A
    return flash
