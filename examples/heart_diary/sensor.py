# SPDX-License-Identifier: Apache-2.0
"""Sends every heart beat to the diary: the number of the morning and the interval in ms.

Time runs fast: a day takes one second.
"""

import struct

import enclave
import trace

DAY_MS = 1000

diary = enclave.output("diary")


def main() -> None:
    morning = 0
    while True:
        for interval in trace.MORNINGS[morning % len(trace.MORNINGS)]:
            # A sensor cannot hold the heart still, but a recording can wait for the diary.
            while not diary.send(struct.pack("<HH", morning, interval)):
                enclave.sleep_ms(10)
        morning += 1
        enclave.sleep_ms(DAY_MS)


main()
