# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.boot.device import Kit, build_kit


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return build_kit(tmp_path_factory.mktemp("boot"))
