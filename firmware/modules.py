# SPDX-License-Identifier: Apache-2.0
"""The Python files of an enclave: its main module and the files beside it that it imports."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

MAX_SOURCE_BYTES = 256 * 1024


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
    """One source file: its import name, its path, the SHA-256 of its bytes."""

    name: str
    path: Path
    digest: bytes
    imports: tuple[str, ...]  # every name imported, local or built in


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
            local = main.with_name(f"{imported}.py")
            if local.is_file():
                waiting.append((imported, local))
            elif imported in packaged:
                waiting.append((imported, packaged[imported]))
    return tuple(found.values())


def code_digest(modules: Iterable[Module]) -> bytes:
    """SHA-256 over the source: sorted by name, `name || 0x00 || SHA-256(file bytes)` each."""
    digest = hashlib.sha256()
    for module in sorted(modules, key=lambda m: m.name):
        digest.update(module.name.encode() + b"\0" + module.digest)
    return digest.digest()


def _read(name: str, path: Path) -> Module:
    data = path.read_bytes()
    if len(data) > MAX_SOURCE_BYTES:
        raise ModuleError(path, 1, f"{len(data)} bytes of source", "split it, 256 KiB is the most")
    try:
        tree = ast.parse(data, str(path))
    except SyntaxError as error:
        raise ModuleError(path, error.lineno or 1, f"{error.msg}", "correct the Python") from error
    except (ValueError, RecursionError) as error:
        raise ModuleError(path, 1, f"not Python source: {error}", "correct the Python") from error
    imports = tuple(dict.fromkeys(_imports(path, tree)))
    return Module(name, path, hashlib.sha256(data).digest(), imports)


def _imports(path: Path, tree: ast.Module) -> Iterator[str]:
    """Every module named, in order. The image has no packages: names are plain."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield _plain(path, node.lineno, alias.name)
            case ast.ImportFrom(module=name, level=level):
                yield _plain(path, node.lineno, "." * level + (name or ""))
            # A name that is only known at run time would escape the code digest.
            case ast.Name(id="__import__"):
                mend = "use an import statement"
                raise ModuleError(path, node.lineno, "__import__ is not sealed code", mend)


def _plain(path: Path, line: int, name: str) -> str:
    if "." in name:
        mend = "put the module beside the others and import it by its plain name"
        raise ModuleError(path, line, f"{name}: there are no packages in an image", mend)
    return name
