# SPDX-License-Identifier: Apache-2.0
"""Adds bytes; fails when there is nothing to add."""

import struct

import enclave


def add(request: bytes) -> bytes:
    if not request:
        raise ValueError("nothing to add")
    return struct.pack("<H", sum(request))


enclave.service("asker").serve(add)
