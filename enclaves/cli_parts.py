# SPDX-License-Identifier: Apache-2.0
"""What the verbs of this package share: arguments, options, and how they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import rich_click as click

if TYPE_CHECKING:
    from firmware.appliance.problems import ApplianceError

APPLIANCE = click.argument("appliance", type=click.Path(path_type=Path))
BOARD = click.option("--board", help="Check that it fits this board, too.")


def refuse(error: ApplianceError, as_json: bool) -> NoReturn:
    """Print every problem, one a line, as JSON if wanted, and exit with the error's code."""
    if as_json:
        problems = [problem.as_json() for problem in error.problems]
        document = {"ok": False, "problems": problems}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    for problem in error.problems:
        click.echo(str(problem), err=True)
    sys.exit(error.exit_code)
