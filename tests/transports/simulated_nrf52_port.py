# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - the signatures are the bus's
"""The debug port of an nRF52833 as its lock makes it (Nordic's Product Specification v1.6, section
4.8.2): no processor is behind it, for no emulator has one."""

from __future__ import annotations

from tests.transports.simulated_swd import BusError, MemoryAccess, SerialWirePort

_ERASE_ALL, _STATUS, _PROTECTION, _IDENTITY = 0x04, 0x08, 0x0C, 0xFC


class ControlAccess:
    """CTRL-AP. `erased`: somebody had everything erased, which is what opens the lock."""

    def __init__(self, protected: bool) -> None:
        self._protected = protected
        self.erased = False

    def read(self, place: int) -> int:
        return {_STATUS: 0, _PROTECTION: int(not self._protected), _IDENTITY: 0x1288_0000}.get(
            place, 0
        )

    def write(self, place: int, value: int) -> None:
        self.erased |= place == _ERASE_ALL and bool(value & 1)


class _Nothing:
    def load(self, address: int, size: int) -> int:
        raise BusError

    def store(self, address: int, size: int, value: int) -> None:
        raise BusError


def nrf52_port(*, protected: bool) -> tuple[SerialWirePort, ControlAccess]:
    """The port and its control access port."""
    control = ControlAccess(protected)
    access = MemoryAccess(_Nothing(), 0x2477_0011, enabled=not protected)
    return SerialWirePort(access, control, identity=0x2BA0_1477), control
