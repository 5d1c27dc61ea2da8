# SPDX-License-Identifier: Apache-2.0
"""MicroPython's asyncio as modules of an appliance: its own Python, from the pinned tree.

A program that imports asyncio gets those files that it uses something of. What they lack in a
sealed image is replaced, line for line, so that tracebacks still tell upstream's lines: the poller
(by `IOQueue` of runtime/vm/vm_asyncio.c), the lazy loader (by plain imports of the names that the
program says), and writing to `sys.stderr`. Streams are left out: there is nothing to stream.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from boards.errors import ENVIRONMENT, CoffretError
from firmware.appliance.modules import PACKAGE_FILE, with_absolute_imports
from firmware.compiler.sources import MICROPYTHON, find_tree
from firmware.specialiser.features.library import ABSENT, LIBRARY
from firmware.specialiser.features.needs import Source
from firmware.specialiser.shrink import looks_at_names, spoken

NAME = "asyncio"
_FOLDER = PurePosixPath("extmod/asyncio")
_PARTS = ("core", "event", "funcs", "lock")

# In core.py and event.py: what stands there once, and what stands there in an image.
_REPLACED: Mapping[str, Mapping[str, str]] = {
    "core": {
        "import sys, select\n": "import sys\n",
        "try:\n    from _asyncio import TaskQueue, Task\nexcept:\n"
        "    from .task import TaskQueue, Task\n": "from _asyncio import TaskQueue, Task\n"
        "from _enclave import IOQueue\n\n\n",
        'print(context["message"], file=sys.stderr)': 'print(context["message"])',
        'context["future"].coro, file=sys.stderr)': 'context["future"].coro)',
        'context["exception"], sys.stderr)': 'context["exception"])',
    },
    "event": {
        "class ThreadSafeFlag(io.IOBase):\n": "class ThreadSafeFlag:\n",
        "def ioctl(self, req, flags):\n": "def __bool__(self):\n",
        "if req == 3:  # MP_STREAM_POLL\n                return self.state * flags\n"
        "            return -1  # Other requests are unsupported\n": "return self.state != 0\n\n\n",
    },
}
_POLLER = re.compile(r"^class IOQueue:\n(?:[ \t].*\n|\n)*", re.M)
_FLAG = re.compile(
    r"^try:\n    import io\n\n((?:    .*\n|\n)*)except ImportError:\n    pass\n", re.M
)


def with_asyncio(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The program, and those files of asyncio that it uses something of, if it imports asyncio.

    A module of the program that has this name stands for itself.
    Raises SourceError, and CoffretError if the pinned files are not what is known of them.
    """
    try:
        trees = [ast.parse(source.text) for source in sources]
    except (SyntaxError, ValueError):
        return tuple(sources)  # the specialiser says where
    imported = {name for tree in trees for name in _imported(tree)}
    if not imported or any(source.name == NAME for source in sources):
        return tuple(sources)
    texts = _texts()
    offered = {name: part for part in _PARTS for name in _offered(texts[part])}
    if any(map(looks_at_names, trees)):
        said = set(offered)
    else:
        words = {word for tree in trees for word in spoken(tree.body)}
        said = {name for name in offered if name in words}
    parts = ["core"]
    parts += [p for p in _PARTS[1:] if p in imported or p in {offered[name] for name in said}]
    loader = "".join(
        f"from {NAME}.{part} import {', '.join(names)}\n"
        if (names := sorted(name for name in said if offered[name] == part))
        else f"import {NAME}.{part}\n"
        for part in parts
    )
    added = [Source(NAME, _path(PACKAGE_FILE), loader.encode(), upstream=True)]
    added += [
        Source(f"{NAME}.{part}", _path(f"{part}.py"), texts[part], upstream=True) for part in parts
    ]
    return (*sources, *added)


def _imported(tree: ast.Module) -> set[str]:
    """`asyncio` and the parts of it that a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str() as module, names=names):
                found.add(module)
                found |= {f"{module}.{alias.name}" for alias in names}
    ours = {name for name in found if name == NAME or name.startswith(f"{NAME}.")}
    return {name.rpartition(".")[2] for name in ours}


def _path(file: str) -> Path:
    """What messages show: a place in MicroPython's tree, on no machine in particular."""
    return Path(_FOLDER / file)


def _texts() -> dict[str, bytes]:
    root = find_tree(MICROPYTHON).path
    return {part: _text(root, part) for part in _PARTS}


def _text(root: Path, part: str) -> bytes:
    path = root / _FOLDER / f"{part}.py"
    text = path.read_text(encoding="utf-8")
    for before, after in _REPLACED.get(part, {}).items():
        if text.count(before) != 1:
            what = f"{path} has not once: {before.strip()}"
            raise CoffretError(what, "pin the MicroPython that this build knows", ENVIRONMENT)
        text = text.replace(before, after)
    text = _POLLER.sub(lambda match: "\n" * match[0].count("\n"), text)
    text = _FLAG.sub(lambda match: "\n\n\n" + textwrap.dedent(match[1]) + "\n\n", text)
    name = f"{NAME}.{part}"
    return with_absolute_imports(name, path, text.encode())


def _offered(text: bytes) -> list[str]:
    """What a part gives to the package: `from .core import *` and the lazy loader upstream."""
    names: list[str] = []
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.append(name)
            case ast.ClassDef(name=name):
                names.append(name)
            case ast.ImportFrom(module="time" | "_asyncio", names=aliases):
                names += [alias.asname or alias.name for alias in aliases]
    absent = {name for name, needs in LIBRARY[NAME].members.items() if ABSENT in needs}
    return [name for name in names if not name.startswith("_") and name not in absent]
