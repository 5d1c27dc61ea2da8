# SPDX-License-Identifier: Apache-2.0
"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgresql"]

# A busy machine is not a failure: no test may depend on how long anything takes.
settings.register_profile("coffret", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("coffret")
