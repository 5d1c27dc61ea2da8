# SPDX-License-Identifier: Apache-2.0
"""Updates as the difference to what runs: made and checked here, applied by the running image.

The format is ours (firmware/runtime/smp/delta.h). bsdiff4 finds what two images have in common;
its own files are three bzip2 streams, which want up to four megabytes and all of the file at once.
"""

from flasher.delta.apply import apply_delta
from flasher.delta.files import (
    DeltaFor,
    Deltas,
    between,
    from_bundle,
    from_path,
    read_deltas,
    write_deltas,
)
from flasher.delta.layout import DeltaError
from flasher.delta.make import make_delta

__all__ = [
    "DeltaError",
    "DeltaFor",
    "Deltas",
    "apply_delta",
    "between",
    "from_bundle",
    "from_path",
    "make_delta",
    "read_deltas",
    "write_deltas",
]
