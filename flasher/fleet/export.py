# SPDX-License-Identifier: Apache-2.0
"""The boards of a fleet as records: for a table, CSV and NDJSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from attest.inventory import Inventory
from attest.tables import STANDINGS
from attest.units import Unit

_NEVER = "never attested"
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def records(inventory: Inventory, units: Sequence[Unit]) -> list[dict[str, object]]:
    """One record a unit: what its fleet says of it, and its latest verdict."""
    columns = (STANDINGS.c.instance_id, STANDINGS.c.verdict, STANDINGS.c.reported)
    with inventory.engine.connect() as connection:
        standing = {row.instance_id: row for row in connection.execute(sa.select(*columns))}
    found = []
    for unit in units:
        row = standing.get(unit.instance_id)
        verdict = {"verdict": row.verdict if row else None}
        found.append(unit.to_json() | verdict | {"attested": row.reported if row else None})
    return found


def table(found: Sequence[dict[str, object]]) -> list[str]:
    """Lines for a person."""
    lines = []
    for record in found:
        runs = f"{record['appliance'] or '-'} {record['version'] or ''}".strip()
        lines.append(
            f"{record['name']!s:<24} {record['group']!s:<16} {record['state']!s:<12} "
            f"{record['verdict'] or _NEVER!s:<16} {runs:<20} {record['why'] or ''}".rstrip()
        )
    return lines or ["no boards yet: coffret fleet provision FLEET.toml"]


def csv_text(found: Sequence[dict[str, object]]) -> str:
    """CSV with a header; each setting is a column `settings.NAME`."""
    rows = [_flat(record) for record in found]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def ndjson(found: Sequence[dict[str, object]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(record, sort_keys=True) + "\n" for record in found)


def moment(seconds: int) -> str:
    """A time as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _flat(record: dict[str, object]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": _cell(inner) for name, inner in value.items()}
        else:
            flat[key] = _cell(value)
    return flat


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
