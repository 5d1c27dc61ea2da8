# SPDX-License-Identifier: Apache-2.0
"""atheris (libFuzzer, guided by coverage) on everything that reads what a stranger hands over.

Ten minutes (COFFRET_FUZZ_SECONDS), in --all only; what it learns stays in the user's cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from firmware.compiler.object_cache import user_cache

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("COFFRET_FUZZ_SECONDS", "600"))


@pytest.mark.all
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_no_input_makes_a_reader_raise_or_an_appraisal_trust_it(tmp_path: Path) -> None:
    corpus = user_cache() / "fuzz" / "attest"
    seeds, findings = tmp_path / "seeds", tmp_path / "findings"
    for folder in (corpus, seeds, findings):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={SECONDS}", "-max_len=4600", "-timeout=60", "-rss_limit_mb=2048"]
    program = [sys.executable, "-m", "tests.attest.fuzzed_readers", str(seeds), str(corpus)]
    done = subprocess.run(
        [*program, *options, f"-artifact_prefix={findings}/", "-print_final_stats=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert not list(findings.iterdir())
    ran = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    assert ran, done.stderr[-4000:]
    print(ran[0])
