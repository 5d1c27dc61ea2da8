# SPDX-License-Identifier: Apache-2.0
"""`coffret new`: a small appliance that works, with its editor set up."""

from __future__ import annotations

import json
from pathlib import Path

from boards.errors import ENVIRONMENT, USAGE, CoffretError
from firmware.appliance import schema
from firmware.compiler.object_cache import write_atomically
from firmware.device_types.typecheck import DEVICE_STUBS

_MANIFEST = """\
[appliance]
name = "{name}"
version = "0.1.0"
security_counter = 0

[requires]
devices = ["usb"]

# Two enclaves: one counts, one writes what it is told to the USB port.
# docs/manifest.md of coffret says what else can stand here: tags, owners, gates, devices.

[enclave.counter]
module = "counter.py"

[enclave.writer]
module = "writer.py"

[sink.usb]
accepts = []

[[channel]]
from = "counter"
to = "writer"
message = "<I"

[[channel]]
from = "writer"
to = "usb"
size = 32
"""

_COUNTER = """\
\"\"\"Counts, once a second.\"\"\"

import struct

import enclave

writer = enclave.output("writer")


def main() -> None:
    count = 0
    while True:
        writer.send(struct.pack("<I", count))
        count += 1
        enclave.sleep_ms(1000)


main()
"""

_WRITER = """\
\"\"\"Writes every number it receives as a line of text.\"\"\"

import struct

import enclave

counter = enclave.input("counter")
usb = enclave.output("usb")


def main() -> None:
    enclave.log("writer ready")
    while True:
        enclave.wait(counter)
        message = counter.receive()
        if message is not None:
            (count,) = struct.unpack("<I", message)
            usb.send("{}\\n".format(count).encode())


main()
"""


def make_appliance(name: str, folder: Path) -> list[Path]:
    """Write the files of a new appliance into `folder/name`, and return them.

    Raises CoffretError for a bad name, or when the folder holds something already.
    """
    try:
        schema.check_name(name)
    except ValueError as error:
        raise CoffretError(str(error), f"give {schema.NAMES}", USAGE) from error
    root = folder / name
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise CoffretError(f"{root} is there already", "choose another name or folder", USAGE)
    files = {
        "appliance.toml": _MANIFEST.format(name=name),
        "counter.py": _COUNTER,
        "writer.py": _WRITER,
        ".gitignore": "/build/\n/typings/\n*.key\n",
        ".vscode/settings.json": json.dumps(
            {
                "python.analysis.extraPaths": ["typings"],
                "python.analysis.typeCheckingMode": "standard",
                "mypy-type-checker.args": ["--config-file=mypy.ini"],
            },
            indent=2,
        )
        + "\n",
        "mypy.ini": "[mypy]\nmypy_path = typings\ncheck_untyped_defs = true\n",
        "pyrightconfig.json": '{ "stubPath": "typings" }\n',
    }
    # `coffret check` writes those of the board and of what is granted: device_types/editor.py.
    for stub in sorted(DEVICE_STUBS.glob("*.pyi")):
        files[f"typings/{stub.name}"] = stub.read_text(encoding="utf-8")
    try:
        for path, text in files.items():
            write_atomically(root / path, text.encode())
    except OSError as error:
        what = f"cannot write into {root}: {error.strerror}"
        raise CoffretError(what, "choose another folder with --in", ENVIRONMENT) from error
    return [root / path for path in files]
