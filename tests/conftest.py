# SPDX-License-Identifier: Apache-2.0
"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgresql"]

# A shell's background job ignores an interrupt, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is not a failure: no test may depend on how long anything takes.
settings.register_profile("coffret", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("coffret")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes may hold a signature, new in each process: workers must agree on a test's name."""
    return argname if isinstance(val, bytes) else None
