# SPDX-License-Identifier: Apache-2.0
"""Intel HEX, the file that a debug probe's USB drive takes (DAPLink; the micro:bit's MICROBIT)."""

from __future__ import annotations

import io
from collections.abc import Iterable

from intelhex import IntelHex

from boards.uf2 import Segment


def write_hex(segments: Iterable[Segment]) -> bytes:
    """The file that programs `segments`. Raises ValueError: two of them overlap."""
    image = IntelHex()
    end = 0
    for segment in sorted(segments, key=lambda segment: segment.address):
        if segment.address < end:
            raise ValueError(f"{segment.address:#x}: two segments overlap")
        image.puts(segment.address, segment.data)
        end = segment.end
    out = io.StringIO()
    image.write_hex_file(out)
    return out.getvalue().encode("ascii")
