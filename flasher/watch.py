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
from dataclasses import asdict, dataclass
from typing import Protocol

from attest import Response
from attest.service.client import Challenge, Client
from boards.errors import CoffretError
from flasher.flash import require_application
from flasher.smp import Board

PATIENCE_S = 120.0  # for a round; a board answers within seconds
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


class Ask(Protocol):
    """How a board is asked: the service's challenge, and the answer to it. Raises CoffretError."""

    def __call__(self, port: str, client: Client, /) -> tuple[Challenge, Response]: ...


def by_own_identity(port: str, client: Client) -> tuple[Challenge, Response]:
    """The evidence that names the board."""
    with Board.open(port) as board:
        require_application(board, "attest")
        challenge = client.challenge()
        evidence = board.evidence(challenge.nonce)
    return challenge, Response(evidence.token, evidence.certificate)


def attest_once(port: str, client: Client, ask: Ask = by_own_identity) -> Seen:
    """One board: the service's nonce in, its evidence out. Never raises for a board's sake."""
    try:
        challenge, answer = ask(port, client)
        report = client.report(challenge, answer)
    except CoffretError as error:
        return Seen(port, None, f"{error.message}; {error.mend}")
    return Seen(port, report.verdict, report.why, report.device)


class Rounds:
    """Attests many boards at once, each in a thread of its own.

    A port that hangs (a driver, a cable) costs its board the verdict and nobody else anything: it
    is left alone until it comes back.
    """

    def __init__(
        self, client: Client, ask: Ask = by_own_identity, *, patience: float = PATIENCE_S
    ) -> None:
        self._client = client
        self._ask = ask
        self._patience = patience
        self._busy: dict[str, threading.Thread] = {}
        self._free = threading.Semaphore(AT_ONCE)

    def attest(self, ports: Sequence[str]) -> Iterator[Seen]:
        """One round; what was seen at each port, in the order given."""
        seen: dict[str, Seen] = {}
        started = []
        for port in ports:
            if port not in self._busy or not self._busy[port].is_alive():
                work = threading.Thread(target=self._one, args=(port, seen), daemon=True)
                self._busy[port] = work
                work.start()
                started.append(work)
        until = time.monotonic() + self._patience
        for work in started:
            work.join(max(0.0, until - time.monotonic()))
        for port in ports:
            yield seen.get(port) or Seen(
                port, None, "the port hangs; unplug the board and plug it in"
            )

    def _one(self, port: str, seen: dict[str, Seen]) -> None:
        with self._free:
            seen[port] = attest_once(port, self._client, self._ask)


def watch(
    rounds: Rounds,
    ports: Callable[[], Sequence[str]],
    every: float,
    stop: threading.Event,
    count: int | None = None,
) -> Iterator[Seen]:
    """Attest every board at `ports` each `every` seconds, until `stop` or after `count` rounds."""
    number = 0
    while not stop.is_set():
        began = time.monotonic()
        yield from rounds.attest(ports())
        number += 1
        if count is not None and number >= count:
            return
        pause = every * random.uniform(1 - JITTER, 1 + JITTER)
        stop.wait(max(0.0, began + pause - time.monotonic()))
