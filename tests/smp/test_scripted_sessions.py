# SPDX-License-Identifier: Apache-2.0
"""The fuzzer of scripted sessions comes to whole, resumed and marked uploads, and finds mistakes.

From a fixed seed, in a fixed number of scripts: no clock decides.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.oracle.mutants import Mutant
from tests.smp.scripted_files import write_seeds
from tests.smp.server_mutants import MANAGERS, SHARED
from tests.smp.test_libfuzzer import build
from tests.store.host_library import RUNTIME

RUNS = 6_000
CASES = [("RECOVERY_SCRIPT", mutant) for mutant in SHARED]
CASES += [("MANAGER_SCRIPT", mutant) for mutant in MANAGERS]


def fuzz(program: Path, runs: int, out: Path, *corpus: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(str(program), "-seed=1", f"-runs={runs}", "-max_len=256", "-len_control=0"),
            *(f"-artifact_prefix={out}/", *map(str, corpus)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def seeds_in(out: Path) -> Path:
    folder = out / "seeds"
    folder.mkdir()
    write_seeds(folder)
    return folder


def reached(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    line = re.search(r"reached: (.*)", done.stderr)
    assert done.returncode == 0 and line is not None, done.stderr[-3000:]
    words = line[1].split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


@pytest.mark.all
@pytest.mark.parametrize("target", ["RECOVERY_SCRIPT", "MANAGER_SCRIPT"])
def test_scripts_reach_whole_resumed_and_marked_uploads(target: str, tmp_path: Path) -> None:
    found = reached(fuzz(build(target, tmp_path), 1_000, tmp_path, seeds_in(tmp_path)))
    print(target, found)
    assert min(found["finished"], found["resumed"], found["marked"], found["refused"]) > 0
    assert target == "RECOVERY_SCRIPT" or min(found["deltas"], found["resumed_deltas"]) > 0


@pytest.mark.all
@pytest.mark.parametrize(
    ("target", "mutant"), CASES, ids=[mutant.name.replace(" ", "_") for _, mutant in CASES]
)
def test_mistake_in_the_server_is_found(target: str, mutant: Mutant, tmp_path: Path) -> None:
    done = fuzz(build(target, tmp_path, mutant.alter), RUNS, tmp_path, seeds_in(tmp_path))
    broken = re.findall(r"broken: .*|ERROR: AddressSanitizer.*|runtime error: .*", done.stderr)
    tried = re.findall(r"^#(\d+)\s", done.stderr, re.MULTILINE)
    assert done.returncode != 0 and broken, f"{mutant.name} survives"
    print(f"{mutant.name}: after {tried[-1] if tried else 0} scripts, {broken[0]}")


@pytest.mark.parametrize("mutant", [mutant for _, mutant in CASES], ids=lambda each: each.name)
def test_mistake_still_has_its_place(mutant: Mutant) -> None:
    """`alter` asserts that the text to change stands exactly once."""
    assert mutant.alter(RUNTIME / mutant.folder / mutant.file) is not None
