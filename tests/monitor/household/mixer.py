# SPDX-License-Identifier: Apache-2.0
"""Would mix what its roles hear, if anything were left of one when the other comes."""

import enclave

heard = []
asker = enclave.input("asker")
while True:
    enclave.wait(asker)
    message = asker.receive()
    if message is not None:
        heard.append(message.decode())
        enclave.log(enclave.name() + " heard " + ",".join(heard))
