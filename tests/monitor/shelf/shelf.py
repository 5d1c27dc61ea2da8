# SPDX-License-Identifier: Apache-2.0
"""Takes a message, and is never done with it if it is told to hold it."""

import enclave

asker = enclave.input("asker")
while True:
    enclave.wait(asker)
    message = asker.receive()
    if message is not None:
        enclave.log(enclave.name() + " has " + message.decode())
        if message == b"hold":
            enclave.sleep_ms(1_000_000)
