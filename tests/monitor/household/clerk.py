# SPDX-License-Identifier: Apache-2.0
"""Counts the messages of one life, and faults at one of them in its first attempt."""

import enclave

count = 0
asker = enclave.input("asker")
while True:
    enclave.wait(asker)
    message = asker.receive()
    if message is not None:
        count += 1
        restarts = enclave.account()[4]
        enclave.log("clerk " + message.decode() + " " + str(count) + " " + str(restarts))
        if message == b"fault" and restarts == 0:
            raise ValueError("once")
