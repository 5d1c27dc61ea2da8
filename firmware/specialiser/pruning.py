# SPDX-License-Identifier: Apache-2.0
"""What the modules can never reach leaves the VM: names in its tables, opcodes of its interpreter.

MicroPython's types and modules are tables of (name, object) in C, and an entry keeps its function
in the image whether or not any program says the name. An image's programs are all known: if the
name is in none of them, the entry can go, and the linker drops what only it referred to. The same
holds for the interpreter's opcodes. Sources are never edited: a copy without those lines is
compiled.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from firmware.compiler.object_cache import write_atomically
from firmware.compiler.sources import Tree
from firmware.compiler.toolchain import CompileJob
from firmware.specialiser.cut_check import with_needed_opcodes
from firmware.specialiser.mpy import MpyFormatError

# One entry of a table, the way all of MicroPython's tables are written.
_ENTRY = re.compile(
    r"^[ \t]*\{ ?MP_ROM_QSTR\(MP_QSTR_(\w+)\), ?"
    r"(?:MP_ROM_\w+\(.*\)|mp_const_float_\w+) ?\},?[ \t]*\n",
    re.MULTILINE,
)
# Names that C code looks up in objects, whoever wrote the objects.
_LOOKED_UP = re.compile(r"mp_load_\w+\(.*\bMP_QSTR_(\w+)")
# py/objstr.c cuts one table into those of str, bytes, bytearray and array by counting these at its
# ends.
_COUNTED = {"objstr.c": frozenset({"append", "extend", "hex", "fromhex", "decode", "encode"})}
_CUT = "MP_DEFINE_CONST_DICT_WITH_SIZE("
# These take an attribute's name as a value; those list names that are written nowhere.
_BY_NAME = frozenset({"getattr", "hasattr", "setattr", "delattr"})
_LISTING = frozenset({"dir", "__dict__"})
# A line of mpy-tool's output that is one instruction: bytes, then the opcode's name.
_INSTRUCTION = re.compile(r"^    0x[0-9a-f]{2}(?:,0x[0-9a-f]{2})*, // ([A-Z_]+)", re.MULTILINE)
# Where py/vm.c notes a frame of an exception, and where py/obj.c prints it.
_FRAMES_MAX = 16
_PLACES = {
    "vm.c": {
        "nlr.ret_val), source_file, source_line, block_name);": (
            "nlr.ret_val), MP_QSTRnull, (size_t)code_state->ip, MP_QSTRnull);"
        )
    },
    "obj.c": {
        'mp_printf(print, "  File \\"%q\\"", values[i]);': (
            'mp_printf(print, "  at %x", (unsigned int)values[i + 1]);'
        ),
        "for (int i = n - 3; i >= 0; i -= 3) {": (
            f"for (int i = MIN(n, {3 * _FRAMES_MAX}) - 3; i >= 0; i -= 3) {{"
        ),
    },
}
_CASE = re.compile(r"\bENTRY\(MP_BC_(\w+)\):")


def static_names(tree: Tree) -> Sequence[str]:
    """The names that .mpy files refer to by number (py/makeqstrdata.py, static_qstr_list)."""
    script = tree.path / "py/makeqstrdata.py"
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "static_qstr_list":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise MpyFormatError(f"{script} has no static_qstr_list")


def names_reached(sources: Iterable[bytes]) -> frozenset[str] | None:
    """Names that the modules pass to `getattr` and its kin; None if one is computed, or all are
    listed (`dir`).
    """
    found: set[str] = set()
    for source in sources:
        nodes = list(ast.walk(ast.parse(source)))
        called: set[ast.AST] = set()
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=str(text)), *_]):
                    if name in _BY_NAME:
                        called.add(node.func)
                        found.add(text)
        for node in nodes:
            match node:
                case ast.Name(id=name) if name in _LISTING | _BY_NAME and node not in called:
                    return None
                case ast.Attribute(attr=name) if name in _LISTING:
                    return None
    return frozenset(found)


def prune_tables(text: str, keep: Collection[str]) -> str:
    """A C source without the table entries whose name is not in `keep`. Names with __ around them
    stay.
    """

    def entry(match: re.Match[str]) -> str:
        name = match[1]
        # The interpreter reaches those by itself; only a REPL reaches this one.
        special = name.startswith("__") and name != "__repl_print__"
        return match[0] if special or name in keep else "\n"  # lines keep their numbers

    return _ENTRY.sub(entry, text)


def used_opcodes(frozen: str) -> frozenset[str]:
    """Names of the opcodes of the frozen modules, from the C source that mpy-tool wrote."""
    return frozenset(_INSTRUCTION.findall(frozen))


def prune_opcodes(text: str, opcodes: Collection[str]) -> str:
    """py/vm.c without the case labels of other opcodes.

    The compiler drops the code behind them. Such an opcode would be answered like any unknown one,
    with NotImplementedError. If the switches leave one of those out, it does not compile.
    """
    kept = _CASE.sub(lambda match: match[0] if match[1] in opcodes else "", text)
    return with_needed_opcodes(kept, opcodes)


def jobs_without_unused_names(
    jobs: Sequence[CompileJob], names: Collection[str], work: Path
) -> list[CompileJob]:
    """The jobs, with pruned copies under `work` in place of sources whose tables name what nobody
    names.
    """
    texts = {
        job.source: job.source.read_text(encoding="utf-8")
        for job in jobs
        if job.source.suffix == ".c"
    }
    keep = set(names).union(*map(_LOOKED_UP.findall, texts.values()))
    pruned = {
        source: prune_tables(text, keep | _COUNTED.get(source.name, frozenset()))
        for source, text in texts.items()
        # Where entries are counted and we do not know which, all must stay.
        if _CUT not in text or source.name in _COUNTED
    }
    return [
        _with_copy(job, pruned[job.source], work)
        if pruned.get(job.source, texts.get(job.source)) != texts.get(job.source)
        else job
        for job in jobs
    ]


def jobs_without_unused_opcodes(
    jobs: Sequence[CompileJob], opcodes: Collection[str], work: Path
) -> list[CompileJob]:
    """The jobs, with a pruned copy of the interpreter under `work`."""
    return [
        _with_copy(job, prune_opcodes(job.source.read_text(encoding="utf-8"), opcodes), work)
        if job.source.name == "vm.c"
        else job
        for job in jobs
    ]


def jobs_with_places(jobs: Sequence[CompileJob], work: Path) -> list[CompileJob]:
    """The jobs for modules without line numbers: a traceback names the address of each frame's
    bytecode instead (firmware/bundle/symbols.py), and at most the innermost frames.
    """
    return [
        _with_copy(job, _with_places(job.source), work) if job.source.name in _PLACES else job
        for job in jobs
    ]


def _with_places(source: Path) -> str:
    text = source.read_text(encoding="utf-8")
    for before, after in _PLACES[source.name].items():
        if text.count(before) != 1:
            raise MpyFormatError(f"{source} has not once: {before}")
        text = text.replace(before, after)
    return text


def _with_copy(job: CompileJob, text: str, work: Path) -> CompileJob:
    # The folder's name keeps apart what has the same name in two folders.
    copy = work / "pruned" / job.source.parent.name / job.source.name
    write_atomically(copy, text.encode())
    # An #include of a file beside the source must still find it.
    return replace(job, source=copy, includes=(*job.includes, job.source.parent))
