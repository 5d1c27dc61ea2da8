# SPDX-License-Identifier: Apache-2.0
"""A full drive is one line with the mend, and exit code 3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# In a mount namespace of its own, so that nobody needs to be root.
_ON_A_FULL_DISK = 'mount -t tmpfs -o size=16k tmpfs "$1" && exec "$2" -c "$3" "$1"'
_DRIVE = """
import sys; from pathlib import Path
from boards.errors import CoffretError
from boards.uf2 import Segment
from flasher.transports.interface import program
from flasher.transports.uf2_volume import INFO, Uf2Volume
folder = Path(sys.argv[1]); (folder / INFO).write_text("Board-ID: RPI-RP2\\n")
try:
    with Uf2Volume(folder, 0xE48BFF56, 4096) as drive:
        segment = Segment(0x1000_0000, bytes(40_000))
        program(drive, [segment], lambda _: None, lambda _d, _t: None)
except CoffretError as error:
    print(error.text()); sys.exit(error.exit_code)
"""


def test_a_full_drive_is_one_line_with_its_mend(tmp_path: Path) -> None:
    command = ["unshare", "-rm", "sh", "-c", _ON_A_FULL_DISK, "sh", str(tmp_path), sys.executable]
    done = subprocess.run(
        [*command, _DRIVE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3, done.stderr
    assert "there is no room left on that disk" in done.stdout
    assert "mend: make room" in done.stdout
