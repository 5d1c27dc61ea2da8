# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from firmware.bundle.folder import Bundle
from tests.firmware.builds import HELLO, build_bundle


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """examples/hello, built. Do not change it: copy it."""
    return build_bundle(HELLO, tmp_path_factory.mktemp("hello"))
