# SPDX-License-Identifier: Apache-2.0
"""The headers MicroPython generates from its own sources.

They list interned strings, modules, root pointers and error texts.
Its `py/make*.py` do the work; this module preprocesses the sources once for all of them, runs the
independent ones side by side, and skips everything when nothing that they read has changed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from boards.errors import ENVIRONMENT, CoffretError
from firmware.compiler.object_cache import FileDigests, Roots, digest_of, write_atomically
from firmware.compiler.sources import Tree
from firmware.compiler.toolchain import CompileJob, Core, Toolchain

# Header that each kind of mark in the sources ends up in, and the script that writes it
# (py/mkrules.mk).
_HEADERS = {
    "module": ("moduledefs.h", "makemoduledefs.py"),
    "root_pointer": ("root_pointers.h", "make_root_pointers.py"),
    "compress": ("compressed.data.h", "makecompresseddata.py"),
}
_STAMP = "inputs.sha256"


@dataclass(frozen=True, slots=True)
class GeneratedHeaders:
    """The directory to include from, and the string list that frozen code is compiled against."""

    include: Path  # holds genhdr/
    qstrs: Path


def generate_headers(
    jobs: Sequence[CompileJob],
    inputs: Sequence[Path],
    tree: Tree,
    core: Core,
    toolchain: Toolchain,
    roots: Roots,
    work: Path,
) -> GeneratedHeaders:
    """Writes `work`/genhdr from the sources of `jobs`; `inputs` are files of ours they include.

    Nothing is run when the tree, the inputs, the compiler and the core are those of the last time.
    """
    target = work / "genhdr"
    result = GeneratedHeaders(work, target / "qstrdefs.preprocessed.h")
    digests = FileDigests()
    made_from = digest_of(
        [
            "headers-1",
            tree.identity,
            toolchain.identity,
            core.name,
            *(part for job in jobs for part in (job.source.name, *job.defines, *job.flags)),
            *(digests.of(path) for path in (*inputs, *(job.source for job in jobs))),
        ]
    )
    stamp = target / _STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == made_from:
        return result
    stamp.unlink(missing_ok=True)
    write_atomically(target / "mpversion.h", _version_header(tree.version).encode())

    # NO_QSTR leaves the marks in the text and the generated headers out of it.
    marked = [replace(job, defines=(*job.defines, "NO_QSTR")) for job in jobs]
    text = work / "marks" / "sources.i"
    write_atomically(text, toolchain.preprocess(marked, core, roots))
    with ThreadPoolExecutor() as pool:
        kinds = ("qstr", *_HEADERS)
        collected = dict(
            zip(kinds, pool.map(lambda kind: _collect(kind, text, tree), kinds), strict=True)
        )
        headers = [
            pool.submit(_write_header, kind, collected[kind], tree, target) for kind in _HEADERS
        ]
        _write_qstrs(collected["qstr"], jobs[0], tree, core, toolchain, roots, result)
        for header in headers:
            header.result()
    write_atomically(stamp, made_from.encode())
    return result


def _version_header(version: str) -> str:
    # makeversionhdr.py would ask git and the clock; an image says which sources it is made of, and
    # no date.
    return (
        f'#define MICROPY_GIT_TAG "v{version}"\n'
        f'#define MICROPY_GIT_HASH "v{version}"\n'
        '#define MICROPY_BUILD_DATE "1970-01-01"\n'
    )


def _run(script: Path, *arguments: str | Path) -> bytes:
    command = [sys.executable, str(script), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        raise CoffretError(
            f"{script.name}: {result.stderr.decode(errors='replace').strip()}",
            "check the switches: a combination that MicroPython does not know is the usual cause",
            ENVIRONMENT,
        )
    return result.stdout


def _collect(kind: str, text: Path, tree: Tree) -> Path:
    """Extracts the marks of one kind, sorted, into one file."""
    script = tree.path / "py/makeqstrdefs.py"
    parts = text.parent / kind
    # Parts are one file per source: those of a source that is gone must not stay.
    for old in parts.glob("*"):
        old.unlink()
    collected = text.parent / f"{kind}.collected"
    collected.unlink(missing_ok=True)
    _run(script, "split", kind, text, parts, "_")
    _run(script, "cat", kind, "_", parts, collected)
    return collected


def _write_header(kind: str, collected: Path, tree: Tree, target: Path) -> None:
    name, script = _HEADERS[kind]
    write_atomically(target / name, _run(tree.path / "py" / script, collected))


def _write_qstrs(
    collected: Path,
    like: CompileJob,
    tree: Tree,
    core: Core,
    toolchain: Toolchain,
    roots: Roots,
    result: GeneratedHeaders,
) -> None:
    """Interned strings: those of py/qstrdefs.h, which has #if, and the collected ones, through the
    preprocessor.
    """
    target = result.include / "genhdr"
    text = (tree.path / "py/qstrdefs.h").read_text(encoding="utf-8") + collected.read_text(
        encoding="utf-8"
    )
    # Quoted, so that the preprocessor leaves the names alone.
    source = collected.parent / "qstrdefs.c"
    write_atomically(source, re.sub(r"^Q\(.*\)", r'"\g<0>"', text, flags=re.MULTILINE).encode())
    job = replace(like, source=source, defines=(*like.defines, "NO_QSTR"))
    unquoted = re.sub(
        r'^"(Q\(.*\))"',
        r"\1",
        toolchain.preprocess([job], core, roots).decode(),
        flags=re.MULTILINE,
    )
    write_atomically(result.qstrs, unquoted.encode())
    generated = _run(tree.path / "py/makeqstrdata.py", result.qstrs)
    write_atomically(target / "qstrdefs.generated.h", generated)
