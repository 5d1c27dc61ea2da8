# SPDX-License-Identifier: Apache-2.0
"""`coffret attest --watch`: a gateway's agent, which brings its boards' evidence to the service.

It keeps nothing: a challenge is the service's, an answer the board's, and the verdict the
service's again. So a gateway that is broken into can be silent, but it cannot lie.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from attest import Response
from attest.service.client import Client
from boards.errors import CoffretError
from flasher.flash import require_application
from flasher.smp import Board

AT_ONCE = 16  # boards; each waits for its serial port most of the time
JITTER = 0.1  # of the interval, so that gateways do not all ask in the same second


@dataclass(frozen=True, slots=True)
class Seen:
    """What a round found at one port: a verdict, or why there is none."""

    port: str
    verdict: str | None
    why: str
    device: str | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    def line(self) -> str:
        if self.verdict is None:
            return f"{self.port}: not attested; {self.why}"
        return f"{self.port}: {self.verdict}; {self.why}"


def attest_once(port: str, client: Client) -> Seen:
    """One board: the service's nonce in, its evidence out. Never raises for a board's sake."""
    try:
        with Board.open(port) as board:
            require_application(board, "attest")
            challenge = client.challenge()
            evidence = board.evidence(challenge.nonce)
        report = client.report(challenge, Response(evidence.token, evidence.certificate))
    except CoffretError as error:
        return Seen(port, None, f"{error.message}; {error.mend}")
    return Seen(port, report.verdict, report.why, report.device)


def watch(
    client: Client,
    ports: Callable[[], Sequence[str]],
    every: float,
    stop: threading.Event,
    rounds: int | None = None,
) -> Iterator[Seen]:
    """Attest every board at `ports` each `every` seconds, until `stop` or after `rounds`."""
    number = 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="board") as pool:
        while not stop.is_set():
            began = time.monotonic()
            yield from pool.map(lambda port: attest_once(port, client), ports())
            number += 1
            if rounds is not None and number >= rounds:
                return
            pause = every * random.uniform(1 - JITTER, 1 + JITTER)
            stop.wait(max(0.0, began + pause - time.monotonic()))
