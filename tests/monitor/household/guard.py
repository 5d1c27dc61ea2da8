# SPDX-License-Identifier: Apache-2.0
"""Tells what it is told of faults."""

import struct

import enclave

faults = enclave.input("adder.faults")
while True:
    enclave.wait(faults)
    report = faults.receive()
    if report is not None:
        reason, count, place, address = struct.unpack("<B3xIII", report)
        enclave.log("guard: adder " + str((reason, count, place > 0, address)))
