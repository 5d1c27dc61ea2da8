# SPDX-License-Identifier: Apache-2.0
"""The files that a scripted session uploads, as C; and scripts that scripted_session.c reads."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.writer import ImageContent, wrap_image
from flasher.bundle import parse_image
from flasher.delta import make_delta
from flasher.delta.layout import Header
from tests.smp.simulated_board import KEY, host_board, patched

LENGTH = 40_000  # an upload is marked every 16 KiB
IMAGE, DELTA, HOPELESS, HINT = "FILE_IMAGE", "FILE_DELTA", "FILE_HOPELESS", "FILE_HINT"
FALLBACK = 2
SMALL = 3


@dataclass(frozen=True, slots=True)
class File:
    """`struct file` of scripted_model.h."""

    kind: str
    data: bytes
    slot: int
    target: int
    digest: bytes = bytes(32)
    newer: bool = False
    first: int = 32
    announced: int | None = None

    def row(self, number: int) -> str:
        sha = hashlib.sha256(self.data).digest()
        announced = self.announced or len(self.data)
        return (
            f"{{file_{number}, {len(self.data)}u, {announced}u, {self.kind}, {self.slot}, "
            f"{int(self.newer)}, {self.first}u, {self.target}u, {octets(sha)}, "
            f"{octets(self.digest)}}},"
        )


def octets(data: bytes) -> str:
    return "{" + ",".join(map(str, data)) + "}"


def image(slot: int, body: bytes, version: Version, counter: int = 5) -> bytes:
    content = ImageContent(version, counter, bytes(32), bytes(32))
    return wrap_image(body, slot, host_board(), content, LocalSigner(KEY))


def files_of(base: bytes, common: bytes) -> Iterator[File]:
    """Good ones first; their numbers are those of the scripts."""
    one, two = Version(1, 2, 3), Version(2, 0, 0)
    fresh = random.Random(2).randbytes(LENGTH)
    changed = bytearray(common[:9_000] + fresh[:3_000] + common[12_000:])
    changed[30_000:34_000] = fresh[3_000:7_000]
    for place in range(12_000, 16_000, 40):  # so that a delta has many short tokens
        changed[place] ^= 0xFF
    good = [image(0, fresh, one), image(1, bytes(changed), two), image(1, fresh, one)]
    good.append(image(1, b"small" * 60, two))
    for number, data in enumerate(good):
        newer = data[20] == two.major  # of MCUboot's header
        digest = parse_image(data).digest
        yield File(IMAGE, data, number and 1, number, digest, newer)
    for start, kind in ((base, DELTA), (good[0], HOPELESS)):
        delta = make_delta(parse_image(start), parse_image(good[1]))
        yield File(kind, delta, 1, 1, newer=True, first=Header.unpack(delta).size)
    for data in (
        patched(good[2], 0, b"\0"),  # no image
        patched(good[2], 4, struct.pack("<I", host_board().slot(1).base + 0x1000)),
        patched(good[2], 12, struct.pack("<I", 0x7FFF_FFFF)),  # says more than the file holds
    ):
        yield File(HOPELESS, data, 1, 0)
    yield File(HOPELESS, good[2], 1, 0, announced=host_board().slot(1).size + 1)
    yield File(HINT, image(1, fresh, two, counter=2), 1, 0, newer=True)
    yield File(HINT, good[2].replace(b"mps2-an385", b"mps2-an38x"), 1, 0)


def files_source(manager: bool) -> str:
    """`scripted_files.inc`. Recovery knows no deltas, and takes either slot."""
    common = random.Random(1).randbytes(LENGTH)
    base = image(0, common, Version(1, 2, 3))
    files = list(files_of(base, common))
    if not manager:
        files = [File(HOPELESS, each.data, 1, 0) if each.kind == DELTA else each for each in files]
    lines = [f"#define LONGEST {max(len(each.data) for each in files)}u"]
    lines.append(f"#define FALLBACK {FALLBACK}u")
    if manager:
        lines.append(f"static const uint8_t base_image[] = {octets(base)};")
    for number, each in enumerate(files):
        lines.append(f"static const uint8_t file_{number}[] = {octets(each.data)};")
    lines.append(f"const uint8_t base_digest[32] = {octets(parse_image(base).digest)};")
    rows = "\n    ".join(each.row(number) for number, each in enumerate(files))
    lines.append(f"const struct file files[] = {{\n    {rows}\n}};")
    lines.append("const uint32_t file_count = sizeof files / sizeof files[0];\n")
    return "\n".join(lines)


# Steps, in scripted_session.c's order.
SELECT, RUN, RUN_ALL, CHUNK, SPOILT_CHUNK, AGAIN, ODD_BEGIN, RESET, POWER_CUT, LIST, MARK, ERASE = (
    range(12)
)
ECHO, ODD_HEADER = 12, 13
SECOND = 0x40


def script(*steps: tuple[int, ...], case: int = 0, version: int = SECOND) -> bytes:
    """`case`: bit 0, the other slot holds what was confirmed."""
    return bytes([case]) + b"".join(
        bytes([step[0] | version]) + bytes(step[1:]).ljust(3, b"\0") for step in steps
    )


def seeds() -> dict[str, bytes]:
    """One script of each thing that hosts do; the fuzzer makes the rest of them."""
    whole = script((SELECT, 1, 200), (RUN_ALL,), (MARK, 1), (LIST,), (RESET,))
    resumed = script((SELECT, 1, 200), (RUN, 20), (POWER_CUT,), (RUN_ALL,), (MARK, 1))
    delta = script((SELECT, 4, 150), (RUN_ALL,), (MARK, 1), (ECHO, 5))
    again = script((SELECT, 4, 150), (RUN, 5), (POWER_CUT,), (RUN_ALL,), (RESET,))
    spoilt = script((SELECT, SMALL, 200), (SPOILT_CHUNK, 88, 2), (RUN_ALL,), (ERASE, 1), (AGAIN,))
    odd = script((ODD_BEGIN, 1, 2), (ECHO, 7, 0, 1), (ODD_HEADER, 0x42, 1), (CHUNK, 4, 4), case=1)
    over = script((SELECT, SMALL, 100), (CHUNK,), (CHUNK, 0, 0, 2), (AGAIN,), version=0)
    unhashed = script((SELECT, SMALL, 200, 1), (SPOILT_CHUNK, 88, 2), (MARK, SMALL), (RUN_ALL,))
    hopeless = script((SELECT, 2, 200), (ODD_BEGIN, 8), (SELECT, 5, 200), (RUN,), (SELECT, 9, 99))
    torn = script((SELECT, 4, 150), (RUN, 3), (SPOILT_CHUNK, 40, 0, 255), (CHUNK,), (CHUNK,))
    return {
        "whole": whole,
        "resumed": resumed,
        "delta": delta,
        "again": again,
        "spoilt": spoilt,
        "odd": odd,
        "over": over,
        "unhashed": unhashed,
        "hopeless": hopeless,
        "torn": torn,
    }


def write_seeds(folder: Path) -> None:
    for name, steps in seeds().items():
        (folder / name).write_bytes(steps)
