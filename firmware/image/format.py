# SPDX-License-Identifier: Apache-2.0
"""MCUboot's image format as coffret uses it: header, TLVs, version (`docs/internals.md`, "Image").

Little endian throughout.
"""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass
from typing import Any

from boards.errors import USAGE, CoffretError

MAGIC = 0x96F3B83D
ROM_FIXED = 0x100  # the only flag: the image runs where it is linked for
HEADER_SIZE = 0x200
HEADER = struct.Struct("<IIHHIIBBHII")
# Behind it: what a device may refuse at the first packet (runtime/smp/slot_image.h).
HINT = struct.Struct("<II32s")
HINT_MAGIC = 0x49484643

TLV_HEAD = struct.Struct("<HH")  # type and length; of an area: magic and length
AREA_OPEN, AREA_PROTECTED = 0x6907, 0x6908
TLV_KEYHASH, TLV_SHA256, TLV_ECDSA, TLV_COUNTER, TLV_RECORD = 0x01, 0x10, 0x22, 0x50, 0x60
TLV_POLICY, TLV_SBOM, TLV_BOARD, TLV_REVOKE, TLV_LMS = 0xA0, 0xA1, 0xA2, 0xA3, 0xA4


class ImageError(CoffretError):
    """An image cannot be made from what was given (exit 2), or is not what it should be (1)."""


@dataclass(frozen=True, slots=True)
class Version:
    """MCUboot's version: major and minor 8 bits, revision 16, build 32."""

    major: int
    minor: int
    revision: int
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """From `1.2.3` or `1.2.3+4`. Raises ImageError."""
        try:
            version = cls(*imgtool("version").decode_version(text))
        except ValueError:
            version = cls(-1, 0, 0)
        if not all(
            0 <= part < 1 << bits
            for part, bits in zip(version._parts(), (8, 8, 16, 32), strict=True)
        ):
            mend = "write MAJOR.MINOR.REVISION or MAJOR.MINOR.REVISION+BUILD; at most 255.255.65535"
            raise ImageError(f"version: {text!r} does not fit an image header", mend, USAGE)
        return version

    def _parts(self) -> tuple[int, int, int, int]:
        return self.major, self.minor, self.revision, self.build

    def __str__(self) -> str:
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.revision}{build}"


def imgtool(module: str) -> Any:
    """A module of imgtool: untyped, and slow to import, so only when it is needed."""
    return importlib.import_module(f"imgtool.{module}")
