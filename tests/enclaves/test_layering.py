# SPDX-License-Identifier: Apache-2.0
"""Dependencies point one way, and the manual has every key of the manifest."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

from firmware.appliance import schema

ROOT = Path(__file__).parents[2]
OURS = {"attest", "boards", "enclaves", "firmware", "flasher", "coffret"}
VERBS = {
    "audit_cli.py",
    "cli.py",
    "cli_parts.py",
    "flows_cli.py",
    "grant_cli.py",
}  # the front door's


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


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for package in sorted(OURS - {"coffret"}):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not even inside a function, or for types alone: modules are read from the bottom up."""
    known = modules()
    needs: dict[str, set[str]] = {}
    for name, path in known.items():
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        froms = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module and n.level == 0]
        given = {(n.module or "", alias.name) for n in froms for alias in n.names}
        needs[name] = {m if f"{m}.{a}" not in known else f"{m}.{a}" for m, a in given}
        needs[name] &= known.keys()
    assert sum(map(len, needs.values())) > 500
    graphlib.TopologicalSorter(needs).prepare()  # CycleError names the modules


def test_every_key_of_the_manifest_is_in_the_manual() -> None:
    manual = (ROOT / "docs/manifest.md").read_text(encoding="utf-8")
    tables = [*schema.SECTIONS.values(), schema.Release]
    keys = {i.alias or name for table in tables for name, i in table.model_fields.items()}
    assert len(keys) > 25
    missing = {key for key in keys if f"`{key}`" not in manual and f"{key} = " not in manual}
    assert not missing
