# SPDX-License-Identifier: Apache-2.0
"""A small bundle, boards that run it, and a place of this test's own for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import attest
from attest import keys
from attest.inventory import Inventory
from tests.firmware.builds import HELLO, build_bundle


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of examples/hello."""
    return build_bundle(HELLO, tmp_path_factory.mktemp("hello")).folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys, an inventory and a directory of virtual boards of this test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("COFFRET_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("COFFRET_INVENTORY", str(tmp_path / "inventory.sqlite"))
    keys.create("operator")
    return tmp_path


@pytest.fixture
def inventory(place: Path) -> Iterator[Inventory]:
    opened = attest.open_inventory(str(place / "inventory.sqlite"))
    yield opened
    opened.close()
