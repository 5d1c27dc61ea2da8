# SPDX-License-Identifier: Apache-2.0
"""The Python files of an enclave: its main module and the files beside it that it imports.

Modules may lie in packages, `a.b` in `a/b.py` or `a/b/__init__.py`. Relative imports become
absolute ones before anything else looks at a module, on the same line.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

MAX_SOURCE_BYTES = 256 * 1024
PACKAGE_FILE = "__init__.py"

_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class ModuleError(ValueError):
    """A module cannot be used. Has the file, the line and what is wrong."""

    def __init__(self, path: Path, line: int, what: str, mend: str) -> None:
        super().__init__(what)
        self.path = path
        self.line = line
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its import name (`summary`, `lib.filters`), its path, the SHA-256 of its
    bytes.
    """

    name: str
    path: Path
    digest: bytes
    imports: tuple[str, ...]  # every module that may be meant, local or built in

    @property
    def file_name(self) -> str:
        """See `file_name_of`."""
        return file_name_of(self.name, self.path)

    def source(self) -> bytes:
        """Its text with absolute imports alone, each line where it was. Raises ModuleError."""
        return with_absolute_imports(self.name, self.path, self.path.read_bytes())


def file_name_of(name: str, path: Path) -> str:
    """`lib/filters.py` of `lib.filters`: what it is found by on the board, and called in traces."""
    return name.replace(".", "/") + (f"/{PACKAGE_FILE}" if path.name == PACKAGE_FILE else ".py")


def enclave_modules(
    main: Path, packaged: Mapping[str, Path] = MappingProxyType({})
) -> tuple[Module, ...]:
    """The main module first, then what it imports from its own folder, and so on.

    What no file beside `main` answers may be in `packaged`, by its import name; imports that
    nothing answers are built in: the specialiser decides on them.
    Raises ModuleError for a file that cannot be read or parsed, OSError when `main` is missing.
    """
    found: dict[str, Module] = {}
    waiting = [(main.stem, main)]
    while waiting:
        name, path = waiting.pop(0)
        if name in found:
            continue
        module = _read(name, path)
        found[name] = module
        for imported in module.imports:
            file = _file_of(imported, main.parent, packaged)
            if file is None:
                continue
            package = imported.rpartition(".")[0]
            if package and _file_of(package, main.parent, packaged) is None:
                what = f"{imported}: {package} is no package"
                mend = f"put {PACKAGE_FILE} into the folder, it may be empty"
                raise ModuleError(module.path, 1, what, mend)
            waiting.append((imported, file))
    return tuple(found.values())


def code_digest(modules: Iterable[Module]) -> bytes:
    """SHA-256 over the source: sorted by name, `name || 0x00 || SHA-256(file bytes)` each."""
    digest = hashlib.sha256()
    for module in sorted(modules, key=lambda m: m.name):
        digest.update(module.name.encode() + b"\0" + module.digest)
    return digest.digest()


def with_absolute_imports(name: str, path: Path, text: bytes) -> bytes:
    """The text of module `name` without relative imports. Raises ModuleError for one beyond the
    package that it is in, or written over several lines.
    """
    tree = _parse(path, text)
    lines = text.splitlines(keepends=True)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            full = _absolute(name, path, node)
            at = node.lineno - 1
            line = lines[at]
            start = node.col_offset
            pattern = rb"from[ \t]*\.(?:[ \t]*\.)*[ \t]*" + re.escape((node.module or "").encode())
            match = re.compile(pattern).match(line, start)
            if match is None:
                what = "a relative import over several lines"
                raise ModuleError(path, node.lineno, what, "write `from` and the module in one")
            rest = line[match.end() :].lstrip()
            lines[at] = line[:start] + f"from {full} ".encode() + rest
    return b"".join(lines)


def _absolute(name: str, path: Path, node: ast.ImportFrom) -> str:
    parts = name.split(".") if path.name == PACKAGE_FILE else name.split(".")[:-1]
    up = node.level - 1
    if up >= len(parts):
        what = f"{'.' * node.level}{node.module or ''}: a relative import beyond its package"
        raise ModuleError(path, node.lineno, what, "import the module by its name")
    package = parts[: len(parts) - up]
    return ".".join((*package, *([node.module] if node.module else [])))


def _file_of(name: str, folder: Path, packaged: Mapping[str, Path]) -> Path | None:
    """The file beside the main module, else in a package of the manifest."""
    if not _NAME.fullmatch(name):
        return None
    place = folder.joinpath(*name.split("."))
    for file in (place.with_name(f"{place.name}.py"), place / PACKAGE_FILE):
        if file.is_file():
            return file
    return packaged.get(name)


def _read(name: str, path: Path) -> Module:
    data = path.read_bytes()
    if len(data) > MAX_SOURCE_BYTES:
        raise ModuleError(path, 1, f"{len(data)} bytes of source", "split it, 256 KiB is the most")
    tree = _parse(path, data)
    imports = tuple(dict.fromkeys(_imports(name, path, tree)))
    return Module(name, path, hashlib.sha256(data).digest(), imports)


def _parse(path: Path, data: bytes) -> ast.Module:
    try:
        return ast.parse(data, str(path))
    except SyntaxError as error:
        raise ModuleError(path, error.lineno or 1, f"{error.msg}", "correct the Python") from error
    except (ValueError, RecursionError) as error:
        raise ModuleError(path, 1, f"not Python source: {error}", "correct the Python") from error


def _imports(name: str, path: Path, tree: ast.Module) -> Iterator[str]:
    """Every module that may be meant, in order, a package before what is in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _with_parents(alias.name)
            case ast.ImportFrom(module=module, names=names, level=level):
                of = _absolute(name, path, node) if level else module or ""
                yield from _with_parents(of)
                yield from (f"{of}.{alias.name}" for alias in names if alias.name != "*")
            # A name that is only known at run time would escape the code digest.
            case ast.Name(id="__import__"):
                mend = "use an import statement"
                raise ModuleError(path, node.lineno, "__import__ is not sealed code", mend)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
