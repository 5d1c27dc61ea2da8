# SPDX-License-Identifier: Apache-2.0
"""Group commit: answers that come while one transaction is written share the next one.

A thread of its own looks the devices of a batch up with one query, appraises them, and writes all
findings in one transaction. Nobody is told of a result before the transaction is committed, so what
was acknowledged is in the database, whatever kills the service a moment later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa

from attest.record import FOREVER, Finding, Use, keep, use_nonces
from attest.service.appraiser import Answer, Appraised, Appraiser
from attest.service.logs import note_all
from attest.tables import DEVICES

LARGEST = 64  # answers in one transaction
WAITING = 1024  # answers in the queue; beyond that the service says that it is busy
_GRACE = 3600  # seconds that a used nonce is kept longer than it must: clocks differ


class BusyError(Exception):
    """More answers wait than the service takes on."""


class UsedError(Exception):
    """The session's nonce was used before; nothing was kept."""


@dataclass(slots=True)
class _Waiting:
    answer: Answer
    done: asyncio.Future[Appraised]


class Batcher:
    """Appraises and keeps answers, many at a time. One for each process."""

    def __init__(self, engine: sa.Engine, appraiser: Appraiser, *, notify: bool) -> None:
        self._engine = engine
        self._appraiser = appraiser
        self._notify = notify
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="appraise")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish what was taken on, then end."""
        await self._queue.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown()

    async def submit(self, answer: Answer) -> Appraised:
        """The committed finding. Raises BusyError or UsedError, and what the database raises."""
        waiting = _Waiting(answer, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise BusyError from None
        return await waiting.done

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < LARGEST and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            answers = [each.answer for each in batch]
            try:
                results = await loop.run_in_executor(self._thread, self._settle, answers)
            except Exception as error:  # the database's, for everyone in the batch
                results = [error] * len(batch)
            for each, result in zip(batch, results, strict=True):
                self._queue.task_done()
                if each.done.done():  # the client went away
                    continue
                if isinstance(result, Exception):
                    each.done.set_exception(result)
                else:
                    each.done.set_result(result)

    def _settle(self, answers: Sequence[Answer]) -> list[Appraised | Exception]:
        """Appraise and commit; in the order that the answers came in."""
        began = time.perf_counter()
        self._appraiser.references.refresh()
        appraised = self._appraiser.appraise(answers, self._endorsements)
        with self._engine.begin() as connection:
            fresh = use_nonces(
                connection,
                [_use(a, each.finding.id) for a, each in zip(answers, appraised, strict=True)],
            )
            results: list[Appraised | Exception] = []
            for answer, each in zip(answers, appraised, strict=True):
                if answer.session.nonce in fresh:
                    fresh.discard(answer.session.nonce)  # twice in one batch: the first has it
                    results.append(each)
                else:
                    results.append(UsedError())
            kept = [each.finding for each in results if isinstance(each, Appraised)]
            keep(connection, kept, notify=self._notify)
        took = round(1000 * (time.perf_counter() - began), 1)
        note_all("verdict", [_line(finding, took) for finding in kept])
        return results

    def _endorsements(self, devices: set[bytes]) -> dict[bytes, bytes]:
        query = sa.select(DEVICES.c.instance_id, DEVICES.c.endorsement).where(
            DEVICES.c.instance_id.in_(devices)
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def _use(answer: Answer, attestation: int) -> Use:
    session = answer.session
    expires = FOREVER if session.chosen else session.expires + _GRACE
    return Use(session.nonce, session.issued, expires, answer.at, attestation)


def _line(finding: Finding, milliseconds: float) -> dict[str, object]:
    return {
        "id": finding.id,
        "device": None if finding.instance_id is None else finding.instance_id.hex(),
        "verdict": finding.verdict,
        "reporter": finding.reporter,
        "milliseconds": milliseconds,
    }
