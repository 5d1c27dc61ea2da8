# SPDX-License-Identifier: Apache-2.0
"""Rings three times, 200 ms apart."""

import enclave

hall = enclave.output("hall")

for ring in range(1, 4):
    enclave.sleep_ms(200)
    hall.send(bytes([ring]))
