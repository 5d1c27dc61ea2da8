# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: one module of the project is imported with one mistake in it.

`python -m pytest -p tests.oracle.altered_module TEST` with the mistake's name in COFFRET_MUTANT.
The text on disk stays as it is, so several runs do not disturb each other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from tests.oracle.compiler_mutants import COMPILER_MUTANTS, CompilerMutant

VARIABLE = "COFFRET_MUTANT"


class _Loader(SourceFileLoader):
    """Compiles the altered text; never from or into a .pyc."""

    mutant: CompilerMutant

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - it is the mutant's
        text = self.mutant.altered(self.get_data(self.path).decode("utf-8"))
        code: CodeType = compile(text, self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    def __init__(self, mutant: CompilerMutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        loader = _Loader(fullname, spec.origin)
        loader.mutant = self._mutant
        spec.loader = loader
        return spec


def _install(name: str) -> None:
    (mutant,) = (m for m in COMPILER_MUTANTS if m.name == name)
    assert mutant.module not in sys.modules, f"{mutant.module} is imported already"
    sys.meta_path.insert(0, _Finder(mutant))


if VARIABLE in os.environ:
    _install(os.environ[VARIABLE])
