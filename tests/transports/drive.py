# SPDX-License-Identifier: Apache-2.0
"""The boot ROM's USB drive as an operating system has it: SCSI over USB beneath a mounted FAT.

Blocks are read from the ROM into an image file, a real FAT driver mounts that (the kernel's over a
loop device, else `fusefat` in user space), and the blocks it changed are written to the ROM.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.transports.emulated_pico import EmulatedPico

BLOCK = 512
_COMMAND = struct.Struct("<4sIIBBB16s")  # USB mass storage, bulk only, section 5.1
_STATUS = struct.Struct("<4sIIB")
_IN, _OUT = 0x81, 0x02


class Disk:
    """SCSI commands to the drive; mass storage is the ROM's first interface."""

    def __init__(self, pico: EmulatedPico) -> None:
        self._pico = pico
        self._tag = 0

    def _ask(self, command: bytes, *, size: int = 0, data: bytes = b"") -> bytes:
        self._tag += 1
        flags = 0x80 if size else 0
        head = _COMMAND.pack(
            b"USBC", self._tag, size or len(data), flags, 0, len(command), command.ljust(16, b"\0")
        )
        self._pico.bulk_out(_OUT, head)
        found = b""
        while len(found) < size:
            found += self._pico.bulk_in(_IN, size - len(found))
        if data:
            self._pico.bulk_out(_OUT, data)
        mark, tag, _, status = _STATUS.unpack(self._pico.bulk_in(_IN, _STATUS.size))
        assert (mark, tag, status) == (b"USBS", self._tag, 0), (command, status)
        return found

    def blocks(self) -> int:
        last, size = struct.unpack(">II", self._ask(struct.pack(">B9x", 0x25), size=8))
        assert size == BLOCK
        return int(last) + 1

    def read(self, block: int, count: int) -> bytes:
        command = struct.pack(">BBIBHB", 0x28, 0, block, 0, count, 0)
        return self._ask(command, size=count * BLOCK)

    def write(self, block: int, data: bytes) -> None:
        command = struct.pack(">BBIBHB", 0x2A, 0, block, 0, len(data) // BLOCK, 0)
        self._ask(command, data=data)


def make_image(disk: Disk, image: Path) -> int:
    """The drive's partition, as far as it holds something, in a sparse file of its size.

    Returns the block on which it starts.
    """
    table = disk.read(0, 1)
    start, count = struct.unpack_from("<II", table, 0x1BE + 8)
    boot = disk.read(start, 1)
    reserved, fats, entries = struct.unpack_from("<HBH", boot, 14)
    (fat_blocks,) = struct.unpack_from("<H", boot, 22)
    data = reserved + fats * fat_blocks + entries * 32 // BLOCK
    with image.open("wb") as file:
        file.truncate(count * BLOCK)
        for block in range(data + 4 * boot[13]):
            file.seek(block * BLOCK)
            file.write(disk.read(start + block, 1))
    return int(start)


def changed(before: Path, after: Path) -> Iterator[tuple[int, bytes]]:
    """Blocks of `after` that differ, with their numbers."""
    with before.open("rb") as old, after.open("rb") as new:
        number = 0
        while block := new.read(BLOCK):
            if old.read(BLOCK) != block:
                yield number, block
            number += 1


@dataclass(slots=True)
class Mount:
    """A mounted image. `driver`: `loop` (the kernel's) or `fusefat`."""

    folder: Path
    driver: str
    process: subprocess.Popen[bytes] | None = None

    def pull(self) -> None:
        """The drive is gone in the middle of whatever goes on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        else:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def leave(self) -> None:
        """Everything is written, and the drive is given back."""
        if self.process is None:
            subprocess.run(["umount", str(self.folder)], check=False)
            return
        subprocess.run(
            ["fusermount", "-u", "-z", str(self.folder)], check=False, capture_output=True
        )
        self.process.wait(120)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Mount]:
    """The image at `folder`, by the kernel's FAT driver where it may be had, else by fusefat."""
    folder.mkdir(exist_ok=True)
    kernel = ["mount", "-t", "vfat", "-o", "loop,sync", str(image), str(folder)]
    done = subprocess.run(kernel, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        mount = Mount(folder, "loop")
    else:
        said = done.stderr.strip()
        assert shutil.which("fusefat"), f"no vfat ({said}), no fusefat: run ./dev test once"
        words = ["fusefat", "-f", "-s", "-o", "rw+", str(image), str(folder)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        mount = Mount(folder, "fusefat", process)
        for _ in range(500):
            if folder.is_mount():
                break
            time.sleep(0.01)
    try:
        yield mount
    finally:
        mount.leave()
