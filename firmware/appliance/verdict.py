# SPDX-License-Identifier: Apache-2.0
"""Everything that `coffret check` checks, in the order in which it makes sense to mend it."""

from __future__ import annotations

from pathlib import Path

from boards.errors import NO
from boards.model import load as load_board
from firmware.appliance.flows import flow_policy
from firmware.appliance.manifest import Manifest
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError, Problem
from firmware.device_types.editor import refresh_typings
from firmware.device_types.typecheck import type_problems
from firmware.planning.planner import make_plan
from firmware.specialiser.program import specialise_appliance


def check_appliance(appliance: Path, board: str | None = None) -> Manifest:
    """The manifest of an appliance with nothing wrong.

    Raises ApplianceError: exit code 2 for the manifest, `policy.toml` or the board, 1 for illegal
    flows, missing grants, broken assertions, raw messages at a gate, type errors and what a sealed
    image does not have. BoardError for an unknown board.
    """
    manifest = load(appliance)
    known = load_board(board) if board is not None else None
    if known is not None:
        make_plan(manifest, known)
    refresh_typings(manifest, known)
    problems: list[Problem] = []
    try:
        flow_policy(manifest)
    except ApplianceError as error:
        if error.exit_code != NO:  # `policy.toml` is malformed
            raise
        problems += error.problems
    problems += type_problems(manifest, known)
    try:
        specialise_appliance(manifest)
    except ApplianceError as error:
        problems += error.problems
    if problems:
        raise ApplianceError(problems, NO)
    return manifest
