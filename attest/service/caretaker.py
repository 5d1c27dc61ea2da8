# SPDX-License-Identifier: Apache-2.0
"""What must happen without anybody asking: silent devices age, notices go out, old nonces go.

Every worker does all of it; the statements in `record` and `notices` see that it happens once.
"""

from __future__ import annotations

import asyncio
import time

from sqlalchemy.exc import SQLAlchemyError

from attest.record import age, forget_nonces
from attest.service import notices
from attest.service.core import Service
from attest.service.logs import LOGGER, note
from attest.service.metrics import Metrics
from attest.service.notices import Sender

EVERY = 1.0  # seconds
NONCES_EVERY = 60.0


class Caretaker:
    """One for each process; works in a thread, a round a second."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        webhook = service.settings.webhook
        self._sender = None if webhook is None else Sender(webhook)
        self._task: asyncio.Task[None] | None = None
        self._forgot_at = time.monotonic()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._sender is not None:
            self._sender.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await asyncio.to_thread(self.round)
            except SQLAlchemyError:
                LOGGER.warning("the store did not answer the caretaker", exc_info=True)

    def round(self) -> None:
        """Do what is due now."""
        self._age()
        if self._sender is not None:
            self._send(self._sender)
        if time.monotonic() - self._forgot_at > NONCES_EVERY:
            self._forgot_at = time.monotonic()
            with self._service.engine.begin() as connection:
                forget_nonces(connection, int(time.time()))

    def _age(self) -> None:
        settings = self._service.settings
        with self._service.engine.begin() as connection:
            aged = age(
                connection,
                int(time.time()),
                settings.max_age,
                notify=settings.webhook is not None,
            )
        if aged:
            self._metrics.aged.inc(aged)
            note("devices became unknown", devices=aged)

    def _send(self, sender: Sender) -> None:
        engine = self._service.engine
        for notice in notices.take_due(engine, int(time.time())):
            delivered = sender.send(notice)
            notices.settle(engine, notice, int(time.time()), delivered=delivered)
            outcome = "delivered" if delivered else "failed"
            self._metrics.webhooks.labels(outcome).inc()
            note("webhook", outcome=outcome, attempts=notice.attempts, verdict=notice.verdict)
