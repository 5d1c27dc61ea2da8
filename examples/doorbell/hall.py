# SPDX-License-Identifier: Apache-2.0
"""Answers the bell, collects the letters, and notices when nobody comes any more.

Several tasks of one enclave. While none of them can run the enclave sleeps in the monitor.
"""

import asyncio

import enclave

bell = enclave.input("bell")
postman = enclave.input("postman")
letters = asyncio.Event()


async def answer() -> None:
    for _ in range(3):
        ring = await enclave.next_message(bell)
        enclave.log(f"the bell rings: {ring[0]}")


async def collect() -> None:
    for _ in range(2):
        letter = await enclave.next_message(postman)
        enclave.log("in the letter box: " + letter.decode())
        letters.set()


async def read() -> None:
    await letters.wait()
    enclave.log("there is something to read")


async def main() -> None:
    await asyncio.gather(answer(), collect(), read())
    try:
        await asyncio.wait_for_ms(enclave.next_message(bell), 100)
    except asyncio.TimeoutError:
        enclave.log("nobody comes any more")


asyncio.run(main())
