# SPDX-License-Identifier: Apache-2.0
"""What an enclave does to devices that are not its own, and a device whose interrupt never ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine.bench import Running, build_for, running, write_appliance
from tests.monitor.rig import COUNTED
from tests.qemu import needs_qemu

pytestmark = needs_qemu

# Each thief was granted nothing, and stores to a register by its address.
TARGETS = {
    "led": 0x40028000,
    "pins": 0x40010000,
    "bus": 0x4002A000,
    "timer": 0x40001000,
    "time_base": 0x40000000,
    "watchdog": 0x40008000,
}

THIEF = """
import micropython

@micropython.viper
def steal():
    register = ptr32({address})  # type: ignore[name-defined]
    register[0] = 1

steal()
print("stolen")
"""

STORM = """
from machine import Timer, idle

calls = 0

def hit(timer: Timer) -> None:
    global calls
    calls += 1

# Far more often than it can be served: the interrupt is always there.
Timer(1, tick_hz=1000000, period=2, callback=hit)
while calls < 20000:
    idle()
print("served", calls)
while True:
    idle()
"""

STEADY = """
import time

late = 0
for _ in range(50):
    start = time.ticks_ms()
    time.sleep_ms(10)
    late = max(late, time.ticks_diff(time.ticks_ms(), start) - 10)
print("late", late)
"""


@pytest.fixture(scope="module")
def robbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The thieves, when each has tried."""
    directory = tmp_path_factory.mktemp("thieves")
    thieves = {
        f"thief_{name}": ((), THIEF.format(address=address)) for name, address in TARGETS.items()
    }
    bundle = build_for("mps2-an385", write_appliance(directory / "source", thieves), directory)
    with running(bundle, directory, COUNTED) as board:
        board.until(
            lambda now: all(
                any(f"fault {thief} " in line for line in now.said("monitor")) for thief in thieves
            )
        )
        yield board


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A storm of interrupts and its neighbour, when both are done."""
    directory = tmp_path_factory.mktemp("storm")
    enclaves = {"storm": (("timer1",), STORM), "steady": ((), STEADY)}
    bundle = build_for("mps2-an385", write_appliance(directory / "source", enclaves), directory)
    with running(bundle, directory, COUNTED) as board:
        board.until(lambda now: bool(now.said("steady")) and bool(now.said("storm")))
        yield board


@pytest.mark.parametrize("name", TARGETS)
def test_a_device_that_was_not_granted_faults_and_is_attributed(robbed: Running, name: str) -> None:
    expected = f"fault thief_{name} memory {TARGETS[name]:#010x}"
    assert expected in robbed.said("monitor")
    assert robbed.said(f"thief_{name}") == []


def test_an_interrupt_that_never_ends_starves_nobody(stormy: Running) -> None:
    assert stormy.said("storm") == ["served 20000"]
    (said,) = stormy.said("steady")
    # A slice of the storm's own time is 10 ms; a wait ends at the next tick of 1 ms.
    assert int(said.split()[1]) <= 12
