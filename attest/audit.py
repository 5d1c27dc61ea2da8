# SPDX-License-Identifier: Apache-2.0
"""The audit log: who did what, to what, when, and with which key. It only grows."""

from __future__ import annotations

import getpass
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from attest.tables import AUDIT, new_id


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed. `key` is the SHA-256 of the SubjectPublicKeyInfo of the key that was used."""

    time: int
    who: str
    what: str
    subject: str
    key: bytes | None
    detail: dict[str, object]

    def to_json(self) -> dict[str, object]:
        return {
            "time": self.time,
            "who": self.who,
            "what": self.what,
            "subject": self.subject,
            "key": None if self.key is None else self.key.hex(),
            "detail": self.detail,
        }


def whoever() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:128]


def note(
    connection: sa.Connection,
    what: str,
    subject: str,
    *,
    key: bytes | None = None,
    detail: Mapping[str, object] | None = None,
    who: str | None = None,
) -> None:
    """Add an entry, in the caller's transaction: the deed and its record are there together."""
    row = {
        "id": new_id(),
        "time": int(time.time()),
        "who": who or whoever(),
        "what": what,
        "subject": subject[:128],
        "key": key,
        "detail": json.dumps(dict(detail or {}), sort_keys=True),
    }
    connection.execute(sa.insert(AUDIT).values(row))


def entries(engine: sa.Engine, subject: str | None = None) -> Iterator[Entry]:
    """The log, oldest first; of one subject if it is named."""
    query = sa.select(AUDIT).order_by(AUDIT.c.id)
    if subject is not None:
        query = query.where(AUDIT.c.subject == subject)
    with engine.connect() as connection:
        for row in connection.execute(query):
            detail = json.loads(row.detail)
            yield Entry(row.time, row.who, row.what, row.subject, row.key, detail)
