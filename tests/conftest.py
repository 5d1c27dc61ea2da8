# SPDX-License-Identifier: Apache-2.0
"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgresql", "tests.power_cuts"]

# A shell's background job ignores an interrupt, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is not a failure: no test may depend on how long anything takes.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("random", _PATIENT)
# A tree passes or it does not: the default run makes the same cases each time.
settings.register_profile("repeatable", _PATIENT, derandomize=True)
settings.load_profile("random")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("markexpr") == "not all":
        settings.load_profile("repeatable")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes may hold a signature, new in each process: workers must agree on a test's name."""
    return argname if isinstance(val, bytes) else None
