# SPDX-License-Identifier: Apache-2.0
"""The mutants are run in `--all` only; that each still has its place is seen in every run."""

from __future__ import annotations

import pytest

from firmware.compiler.link import RUNTIME
from tests.oracle.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_what_a_mutant_changes_stands_once_in_the_monitor(mutant: Mutant) -> None:
    path = RUNTIME / "monitor" / mutant.file
    assert mutant.alter(path) != path.read_text(encoding="utf-8")
