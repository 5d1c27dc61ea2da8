# SPDX-License-Identifier: Apache-2.0
"""Gives one role what it holds, then the other what it lets go."""

import enclave

one, two = enclave.output("shelf.one"), enclave.output("shelf.two")
one.send(b"hold")
enclave.sleep_ms(100)
for text in (b"go", b"on"):
    two.send(text)
    enclave.sleep_ms(100)
enclave.log("end")
