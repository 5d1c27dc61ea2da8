# SPDX-License-Identifier: Apache-2.0
"""Lights the lamp when it is too warm, and writes each reading to USB."""

import struct

import enclave
from machine import Pin

TOO_WARM = 30 * 16

sensor = enclave.input("sensor")
usb = enclave.output("usb")
lamp = Pin("LED0", Pin.OUT)


def text(sixteenths: int) -> str:
    sign, size = ("-", -sixteenths) if sixteenths < 0 else ("", sixteenths)
    return "{}{}.{}".format(sign, size // 16, size % 16 * 10 // 16)


while True:
    enclave.wait(sensor)
    message = sensor.receive()
    if message is not None:
        (degrees,) = struct.unpack("<h", message)
        lamp.value(degrees > TOO_WARM)
        usb.send((text(degrees) + (" too warm\n" if degrees > TOO_WARM else "\n")).encode())
