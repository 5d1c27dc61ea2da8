# SPDX-License-Identifier: Apache-2.0
"""One JSON object a line on stderr. Never a key, a cookie, evidence or a body."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

LOGGER = logging.getLogger("coffret.serve")
FIELDS = "fields"  # of a record's `extra`


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `event` and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        failed = record.exc_info[0] if record.exc_info else None
        if failed is not None:
            head["error"] = failed.__name__  # its text may quote what a client sent
        lines: Sequence[dict[str, object]] = getattr(record, FIELDS, ({},))
        return "\n".join(json.dumps(head | line) for line in lines)


def set_up() -> None:
    """Send the service's and the server's logs to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)


def note(event: str, /, **fields: object) -> None:
    """Write one line."""
    LOGGER.info(event, extra={FIELDS: (fields,)})


def note_all(event: str, lines: Sequence[dict[str, object]]) -> None:
    """Write many lines of one kind at once."""
    if lines:
        LOGGER.info(event, extra={FIELDS: lines})
