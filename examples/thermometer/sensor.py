# SPDX-License-Identifier: Apache-2.0
"""Reads a TMP105 once a second and hands on sixteenths of a degree."""

import struct

import enclave
from machine import I2C, WDT, Timer

ADDRESS = 0x48
TEMPERATURE = 0  # registers of the TMP105 (its data sheet, table 2)
CONFIGURATION = 1
TWELVE_BITS = b"\x60"

panel = enclave.output("panel")
bus = I2C(3, freq=100_000)
bus.writeto_mem(ADDRESS, CONFIGURATION, TWELVE_BITS)
# A bus that hangs hangs its reader: three readings missed, and the enclave starts afresh.
watchdog = WDT(timeout=3000)


def measure(_: Timer) -> None:
    (raw,) = struct.unpack(">h", bus.readfrom_mem(ADDRESS, TEMPERATURE, 2))
    panel.send(struct.pack("<h", raw >> 4))  # the lowest four bits are always zero
    watchdog.feed()


Timer(-1, period=1000, mode=Timer.PERIODIC, callback=measure)
while True:
    enclave.wait()  # the timer calls from here
