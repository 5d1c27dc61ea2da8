# SPDX-License-Identifier: Apache-2.0
"""Counts into a channel."""

import struct

import enclave

listener = enclave.output("listener")
number = 0
while True:
    number += 1
    listener.send(struct.pack("<I", number))
    enclave.sleep_ms(5)
