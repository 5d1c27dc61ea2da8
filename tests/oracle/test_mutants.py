# SPDX-License-Identifier: Apache-2.0
"""Every seeded mistake in the monitor is found by the oracle, in a trace of a few steps.

Found is what the changed monitor does otherwise than the model while the unchanged one does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.machine import OracleBoard, build
from tests.oracle.mutants import MUTANTS, Mutant
from tests.oracle.shrink import find
from tests.qemu import needs_qemu

pytestmark = [needs_qemu, pytest.mark.all]

EXAMPLES = 3000
STEPS = 12


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OracleBoard]:
    """The monitor as it is."""
    directory = tmp_path_factory.mktemp("genuine")
    with OracleBoard(build(directory), directory) as board:
        yield board


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_mutant_is_killed_by_a_short_trace(
    mutant: Mutant, genuine: OracleBoard, tmp_path: Path
) -> None:
    image = build(tmp_path, mutant.alter)
    with OracleBoard(image, tmp_path, patience_s=3) as board:
        killed = find(board, genuine, EXAMPLES)
    assert killed is not None, f"{mutant.name} survives"
    case, why = killed
    print(f"{mutant.name}: {len(case.operations)} steps, {why}")
    assert len(case.operations) <= STEPS, case


def test_mutants_are_many_and_differ() -> None:
    assert len({(m.file, m.before, m.after) for m in MUTANTS}) == len(MUTANTS) >= 45
