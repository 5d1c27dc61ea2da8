# SPDX-License-Identifier: Apache-2.0
"""Counts what is missing."""

import struct

import enclave

ticker, orders = enclave.input("ticker"), enclave.input("orders")
received, missed, last = 0, 0, 0
while enclave.wait(orders, ticker) is not orders:
    message = ticker.receive()
    if message is not None:
        (number,) = struct.unpack("<I", message)
        missed += number - last - 1
        last = number
        received += 1
enclave.log("received " + str(received))
enclave.log("missed " + str(missed))
