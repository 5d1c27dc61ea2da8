# SPDX-License-Identifier: Apache-2.0
"""Signs with an LMS key and dies at the N-th place of the signer, for N = 1, 2, ... (a program).

python lms_killed.py KEYFILE: prints, for each, the leaf of the signature that left (-, if none did)
and what the key file says of the next leaf. A process for each, since death is real.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from attest import lms_keys

WATCHED = {lms_keys.__file__, str(Path(lms_keys.__file__).with_name("keys.py"))}
KILLED = 9


def sign(path: Path, out: int) -> None:
    signature = lms_keys.load(path).sign_digest(b"d" * 32)
    os.write(out, signature[:4])


def die_at(place: int) -> None:
    """The process ends, without a word, at this many lines of the signer, loops counted once."""
    seen: set[tuple[str, int, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in WATCHED:
            return None
        if event == "line":
            caller = frame.f_back.f_lineno if frame.f_back is not None else 0
            seen.add((name, frame.f_lineno, caller))
            if len(seen) == place:
                os._exit(KILLED)
        return trace

    sys.settrace(trace)


def child(path: Path, place: int) -> tuple[int, bytes]:
    """Exit code and what left of it."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        die_at(place)
        sign(path, writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        left = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), left


def main() -> None:
    path = Path(sys.argv[1])
    place, code = 0, KILLED
    while code == KILLED:
        place += 1
        code, left = child(path, place)
        leaf = int.from_bytes(left, "big") if left else "-"
        print(leaf, json.loads(path.read_bytes())["next"])
    assert code == 0, code


if __name__ == "__main__":
    main()
