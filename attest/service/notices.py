# SPDX-License-Identifier: Apache-2.0
"""Webhooks: whoever must know hears of each change of verdict, once or more, and can check it.

A notice is written in the transaction that changed the verdict, so no crash loses one. It is sent
until the receiver says 2xx, later and later. Headers and signature are those of the Standard
Webhooks specification 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

from __future__ import annotations

import base64
import hmac
import json
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy as sa

from attest.service.settings import Webhook
from attest.tables import DEVICES, NOTICES
from boards.errors import USAGE, CoffretError

SECRET_PREFIX = "whsec_"
LEASE = 60  # seconds that one worker has to send what it took
FIRST_WAIT = 5  # seconds; doubled at each failure
LONGEST_WAIT = 3600
MAX_ATTEMPTS = 20  # about 12 hours
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """A change of verdict on its way out."""

    id: int
    instance_id: bytes
    name: str | None
    time: int
    before: str | None
    verdict: str
    why: str
    attempts: int

    def body(self) -> bytes:
        """The document that is sent; the same bytes at every attempt."""
        document = {
            "type": "verdict.changed",
            "timestamp": self.time,
            "data": {
                "device": self.instance_id.hex(),
                "name": self.name,
                "before": self.before,
                "verdict": self.verdict,
                "why": self.why,
            },
        }
        return json.dumps(document, separators=(",", ":")).encode()


def load_secret(path: Path) -> bytes:
    """The signing secret, `whsec_` and base64 of 24 bytes or more. Raises CoffretError."""
    mend = "write whsec_ and the base64 of 32 random bytes to it, mode 0600"
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (OSError, ValueError):
        raise CoffretError(f"{path}: no webhook secret", mend, USAGE) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CoffretError(f"{path}: others can read it", f"chmod 600 {path}", USAGE)
    if len(secret) < 24 or not text.startswith(SECRET_PREFIX):
        raise CoffretError(f"{path}: no webhook secret", mend, USAGE)
    return secret


def headers(notice_id: int, at: int, body: bytes, secret: bytes) -> dict[str, str]:
    """What proves to the receiver that the body is ours, and when it was sent."""
    identity = f"msg_{notice_id}"
    signed = f"{identity}.{at}.".encode() + body
    mac = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")
    return {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{mac}",
    }


def take_due(engine: sa.Engine, now: int) -> list[Notice]:
    """Notices that are due, leased to the caller for LEASE seconds."""
    due = NOTICES.c.due <= now
    with engine.begin() as connection:
        ids = connection.execute(
            sa.select(NOTICES.c.id).where(due).order_by(NOTICES.c.due).limit(AT_ONCE)
        ).scalars()
        mine = [
            each
            for each in list(ids)
            if connection.execute(
                sa.update(NOTICES)
                .where((NOTICES.c.id == each) & due)
                .values(due=now + LEASE, attempts=NOTICES.c.attempts + 1)
            ).rowcount
            == 1
        ]
        rows = connection.execute(
            sa.select(NOTICES, DEVICES.c.name)
            .outerjoin(DEVICES, DEVICES.c.instance_id == NOTICES.c.instance_id)
            .where(NOTICES.c.id.in_(mine))
            .order_by(NOTICES.c.id)
        ).all()
    return [
        Notice(r.id, r.instance_id, r.name, r.time, r.before, r.verdict, r.why, r.attempts)
        for r in rows
    ]


def settle(engine: sa.Engine, notice: Notice, now: int, *, delivered: bool) -> None:
    """Write down how it went: done, or when to try again."""
    values: dict[str, int | None] = {"due": None, "delivered": now}
    if not delivered:
        wait = min(FIRST_WAIT << min(notice.attempts - 1, 16), LONGEST_WAIT)
        values = {"due": None if notice.attempts >= MAX_ATTEMPTS else now + wait}
    with engine.begin() as connection:
        connection.execute(sa.update(NOTICES).where(NOTICES.c.id == notice.id).values(values))


class Sender:
    """Posts notices."""

    def __init__(self, webhook: Webhook) -> None:
        self._url = webhook.url
        self._secret = load_secret(webhook.secret)
        self._client = httpx.Client(timeout=10.0, follow_redirects=False)

    def send(self, notice: Notice) -> bool:
        """Whether the receiver took it."""
        body = notice.body()
        signed = headers(notice.id, int(time.time()), body, self._secret)
        try:
            answer = self._client.post(self._url, content=body, headers=signed)
        except httpx.HTTPError:
            return False
        return answer.is_success

    def close(self) -> None:
        self._client.close()
