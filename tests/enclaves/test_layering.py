# SPDX-License-Identifier: Apache-2.0
"""Dependencies point one way, and the manual has every key of the manifest."""

from __future__ import annotations

import ast
from pathlib import Path

from firmware import schema

ROOT = Path(__file__).parents[2]
OURS = {"attest", "boards", "enclaves", "firmware", "flasher", "coffret"}
VERBS = {"audit_cli.py", "cli.py", "flows_cli.py", "grant_cli.py"}  # the front door's


def imported(path: Path) -> set[str]:
    """The top-level packages of ours that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=str() as module, level=0):
                found.add(module.split(".")[0])
    return found & OURS


def test_enclaves_imports_nothing_else_of_ours() -> None:
    modules = [path for path in (ROOT / "enclaves").glob("*.py") if path.name not in VERBS]
    assert len(modules) > 10
    for path in modules:
        assert imported(path) <= {"enclaves"}, path.name


def test_every_key_of_the_manifest_is_in_the_manual() -> None:
    manual = (ROOT / "docs/manifest.md").read_text(encoding="utf-8")
    tables = [*schema.SECTIONS.values(), schema.Release]
    keys = {i.alias or name for table in tables for name, i in table.model_fields.items()}
    assert len(keys) > 25
    missing = {key for key in keys if f"`{key}`" not in manual and f"{key} = " not in manual}
    assert not missing
