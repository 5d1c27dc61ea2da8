# SPDX-License-Identifier: Apache-2.0
"""Makes one summary of seven mornings, and releases it through the gate that Alice granted.

These are the only lines that can let Alice's data go. The monitor holds them to 16 bytes once a
week, whatever they try: here, where a day takes a second, the second summary has to wait.
"""

import struct

import enclave

DAYS = 7

diary = enclave.input("diary")
weekly = enclave.gate("weekly")


def mean(values: list[int]) -> int:
    return sum(values) // len(values)


def summary(week: int, days: list[tuple[int, int]], last: tuple[int, int]) -> bytes:
    """Week, days, mean rate and variability, how both changed, lowest and highest variability."""
    rate = mean([day[0] for day in days])
    variability = mean([day[1] for day in days])
    return struct.pack(
        "<HHHHhhHH",
        week,
        len(days),
        rate,
        variability,
        rate - last[0] if last[0] else 0,
        variability - last[1] if last[1] else 0,
        min([day[1] for day in days]),
        max([day[1] for day in days]),
    )


def main() -> None:
    week = 1
    days: list[tuple[int, int]] = []
    last = (0, 0)
    waiting = None
    while True:
        enclave.wait(diary)
        message = diary.receive()
        if message is None:
            continue
        _, rate, variability = struct.unpack("<HHH", message)
        days.append((rate, variability))
        if len(days) == DAYS:
            waiting = summary(week, days, last)
            last = (mean([day[0] for day in days]), mean([day[1] for day in days]))
            week += 1
            days = []
        # Refused while this week's budget is used up; the newest summary waits for the next.
        if waiting is not None and weekly.release(waiting):
            waiting = None


main()
