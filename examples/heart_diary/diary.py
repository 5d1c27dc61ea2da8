# SPDX-License-Identifier: Apache-2.0
"""Keeps four weeks of mornings: resting rate and variability, from the beats of the sensor.

Everything is whole numbers: rates in tenths of a beat a minute, variability (RMSSD, the root mean
square of successive differences) in tenths of a millisecond.
"""

import struct

import enclave

HISTORY_DAYS = 28
FEWEST_BEATS = 20

sensor = enclave.input("sensor")
coach = enclave.output("coach")


def square_root(n: int) -> int:
    """The whole part of the square root."""
    root = n
    better = (n + 1) // 2
    while better < root:
        root = better
        better = (root + n // root) // 2
    return root


def normal(interval: int, before: int) -> bool:
    """Whether a beat is neither a fault of the sensor nor one that came early or late."""
    return 300 <= interval <= 2000 and abs(interval - before) * 5 <= before


def resting_rate(beats: list[int]) -> int:
    """Tenths of a beat a minute, from the median interval."""
    return 600000 // sorted(beats)[len(beats) // 2]


def variability(beats: list[int]) -> int:
    """RMSSD in tenths of a millisecond, over pairs of normal beats."""
    total = 0
    pairs = 0
    before = beats[0]
    usable = True
    for interval in beats[1:]:
        if not normal(interval, before):
            usable = False
            continue
        if usable:
            total += (interval - before) * (interval - before)
            pairs += 1
        before = interval
        usable = True
    return square_root(100 * total // pairs) if pairs else 0


def main() -> None:
    history: list[tuple[int, int, int]] = []
    today = 0
    beats: list[int] = []
    while True:
        enclave.wait(sensor)
        message = sensor.receive()
        if message is None:
            continue
        morning, interval = struct.unpack("<HH", message)
        if morning != today:
            if len(beats) >= FEWEST_BEATS:
                history.append((today, resting_rate(beats), variability(beats)))
                coach.send(struct.pack("<HHH", *history[-1]))
                if len(history) > HISTORY_DAYS:
                    history.pop(0)
            today = morning
            beats = []
        beats.append(interval)


main()
