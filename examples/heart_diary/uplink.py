# SPDX-License-Identifier: Apache-2.0
"""Writes each summary as one line of text to the USB port. It sees nothing else of Alice."""

import struct

import enclave

coach = enclave.input("coach")
usb = enclave.output("usb")


def tenths(n: int) -> str:
    return "{}.{}".format(n // 10, n % 10)


def main() -> None:
    enclave.log("uplink ready")
    while True:
        enclave.wait(coach)
        message = coach.receive()
        if message is None:
            continue
        week, days, rate, variability, _, _, _, _ = struct.unpack("<HHHHhhHH", message)
        line = "week {}: {} mornings, {} beats a minute at rest, variability {} ms\n".format(
            week, days, tenths(rate), tenths(variability)
        )
        while not usb.send(line.encode()):
            enclave.sleep_ms(10)
        enclave.log("summary sent")


main()
