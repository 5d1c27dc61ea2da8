# SPDX-License-Identifier: Apache-2.0
"""Hostile Python: viper's pointers reach for any address, and what Python itself can exhaust."""

import struct

import enclave
import micropython

LOAD, STORE, RECURSE, EXHAUST, RAISE, SPIN = range(6)


@micropython.viper
def load(address: int) -> int:
    return int(ptr32(address)[0])  # type: ignore[name-defined]  # noqa: F821


@micropython.viper
def store(address: int) -> int:
    ptr32(address)[0] = 0xBAD  # type: ignore[name-defined]  # noqa: F821
    return 0


def recurse(depth: int) -> int:
    return recurse(depth + 1) + 1


def exhaust() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(256))


def misbehave(kind: int, address: int) -> None:
    if kind == LOAD:
        load(address)
    elif kind == STORE:
        store(address)
    elif kind == RECURSE:
        recurse(0)
    elif kind == EXHAUST:
        exhaust()
    elif kind == RAISE:
        raise ValueError("by design")
    while True:  # the last one: never gives the processor back
        pass


orders = enclave.input("orders")
enclave.wait(orders)
message = orders.receive()
if message is not None:
    misbehave(*struct.unpack("<HI", message))
