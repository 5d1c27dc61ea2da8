# SPDX-License-Identifier: Apache-2.0
"""Tells the attacker what to try next, and at the end asks the listener what it missed."""

import struct

import enclave

LOAD, STORE, RECURSE, EXHAUST, RAISE, SPIN = range(6)
ATTACKS = (
    (LOAD, 0x2000_0900),  # the monitor's variables
    (STORE, 0x2000_0900),
    (LOAD, 0x203F_FC00),  # the attestation key
    (LOAD, 0x2118_0000),  # the device's secret
    (STORE, 0x2100_0300),  # the running image
    (STORE, 0x2108_0000),  # the other slot
    (LOAD, 0x4000_4000),  # the management port
    (LOAD, 0x0000_0100),  # boot
    (STORE, 0x0000_0000),
    (STORE, 0xE000_ED94),  # the memory protection itself
    (RECURSE, 0),
    (EXHAUST, 0),
    (RAISE, 0),
    (SPIN, 0),
)

attacker = enclave.output("attacker")
enclave.sleep_ms(100)
for kind, address in ATTACKS:
    attacker.send(struct.pack("<HI", kind, address))
    enclave.sleep_ms(60)
enclave.output("listener").send(b"?")
