# SPDX-License-Identifier: Apache-2.0
"""What a verb answers: lines for people, or one JSON document for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable

import rich_click as click

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def tell(document: object, lines: Iterable[str], as_json: bool) -> None:
    """Says on standard output the document, indented, if `as_json`; else the lines."""
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(lines))
