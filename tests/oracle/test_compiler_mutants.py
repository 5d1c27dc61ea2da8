# SPDX-License-Identifier: Apache-2.0
"""Every seeded mistake in proof, plan, tables and audit is found by the test that is named for it.

The named test is run in a process of its own, in which that one module has the mistake; what it
says (the falsifying example of a made graph, shrunk, or the difference) is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle.altered_module import VARIABLE
from tests.oracle.compiler_mutants import COMPILER_MUTANTS, REPOSITORY, CompilerMutant

FAILED = 1  # pytest's exit code; 2 to 5 are no verdict
SEARCHES = 6  # of made graphs, each from another seed: some mistakes are seen in few
EXAMPLE = ("Falsifying example", "Failing test case")  # by the version of hypothesis
SAMPLE = ("secrecy the wrong way round", "the audit drops a capability")


def run(
    killer: str, mutant: str | None, work: Path, search: int = 0
) -> subprocess.CompletedProcess[str]:
    """The test, with or without the mistake."""
    chosen = {VARIABLE: mutant} if mutant else {}
    environment = os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(work / "examples")} | chosen
    command = [sys.executable, "-m", "pytest", "-p", "tests.oracle.altered_module"]
    options = [
        f"--hypothesis-seed={search}",
        "-n0",
        "-x",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run(
        [*command, *options, killer],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            m, id=m.name.replace(" ", "_"), marks=() if m.name in SAMPLE else pytest.mark.all
        )
        for m in COMPILER_MUTANTS
    ],
)
def test_mutant_is_killed_by_its_test(mutant: CompilerMutant, tmp_path: Path) -> None:
    for search in range(SEARCHES):
        done = run(mutant.killer, mutant.name, tmp_path, search)
        if done.returncode == FAILED:
            break
    said = done.stdout + done.stderr
    assert done.returncode == FAILED, said[-3000:]
    assert f"FAILED {mutant.killer}" in done.stdout, said[-3000:]
    print(f"{mutant.name}: {why(done.stdout)}")


def why(said: str) -> str:
    """The first line of the failure, and the shrunk example if a graph was made."""
    lines = [line.removeprefix("E").strip() for line in said.splitlines() if line[:1] == "E"]
    starts = [n for n, line in enumerate(lines) if line.startswith(EXAMPLE)]
    ends = [n for n, line in enumerate(lines) if line.startswith("Explanation")]
    example = "".join(lines[starts[0] : ends[0] if ends else None]) if starts else ""
    return f"{lines[0] if lines else ''} {example}"


@pytest.mark.all
@pytest.mark.parametrize("killer", sorted({m.killer for m in COMPILER_MUTANTS}))
def test_killers_pass_without_a_mistake(killer: str, tmp_path: Path) -> None:
    done = run(killer, None, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("mutant", COMPILER_MUTANTS, ids=lambda m: m.name.replace(" ", "_"))
def test_what_a_mutant_changes_stands_once_in_its_module(mutant: CompilerMutant) -> None:
    text = mutant.path.read_text(encoding="utf-8")
    assert mutant.altered(text) != text
    compile(mutant.altered(text), mutant.path.name, "exec")


def test_mutants_are_many_and_differ() -> None:
    assert len({(m.module, m.before, m.after) for m in COMPILER_MUTANTS}) == len(COMPILER_MUTANTS)
    assert len({m.name for m in COMPILER_MUTANTS}) == len(COMPILER_MUTANTS) >= 20
