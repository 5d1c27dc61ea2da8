# SPDX-License-Identifier: Apache-2.0
"""Asks everybody for something."""

import struct

import enclave

adder = enclave.caller("adder")
for request in (b"\x01\x02", b"\xff\xff\xff", b"", b"\x05"):
    try:
        (total,) = struct.unpack("<H", adder.call(request))
        enclave.log("total " + str(total))
    except OSError as error:
        enclave.log("no total " + str(error.errno))
try:
    adder.call(bytes(9))
except ValueError:
    enclave.log("too long")

one, two = enclave.output("mixer.one"), enclave.output("mixer.two")
for text in (b"a", b"b"):
    one.send(text)
    two.send(text)
enclave.sleep_ms(200)
one.send(b"c")
enclave.sleep_ms(200)

clerk = enclave.output("clerk")
for text in (b"x", b"fault", b"y", b"z"):
    enclave.log("kept " + str(clerk.send(text)))
enclave.sleep_ms(400)
cpu_ms, memory, stack, faults, restarts = enclave.account()
enclave.log("account " + str((memory, 0 < stack < 4096, cpu_ms > 0, faults, restarts)))
enclave.log("end")
