# SPDX-License-Identifier: Apache-2.0
"""Brings two letters, between the rings of the bell."""

import enclave

hall = enclave.output("hall")

enclave.sleep_ms(300)
hall.send(b"a postcard")
enclave.sleep_ms(200)
hall.send(b"a bill")
