# SPDX-License-Identifier: Apache-2.0
"""A board at a serial port, spoken to in SMP; synchronous on the outside.

with Board.open("/dev/ttyACM0") as board:
    print(board.mode(), board.images())
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from smp.image_management import ImageState
from smpclient.requests.image_management import ImageErase, ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, ResetWrite

from flasher import answers, messages
from flasher.answers import (
    Enclaves,
    EnclaveState,
    Evidence,
    Identity,
    LogEntry,
    Mode,
    SlotImage,
)
from flasher.errors import (
    BadAnswerError,
    NoAnswerError,
    NoPortError,
    RefusedError,
)
from flasher.reasons import Reason
from flasher.smp_session import Progress, Session
from flasher.transport import SLOW_S, Guard, unguarded

TIMEOUT_S = 2.5
NONCE_SIZES = (32, 48, 64)
_POLL_S = 0.1
_SLOTS = 2

T = TypeVar("T")


class Board:
    """One open port. Not for several threads at once.

    Every method raises NoPortError (port gone), NoAnswerError (silence), BadAnswerError (nonsense)
    and RefusedError (the board said no).
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def port(self) -> str:
        """Its path, or its name on Windows."""
        return self._session.port

    @classmethod
    def open(cls, port: str, timeout_s: float = TIMEOUT_S, guard: Guard = unguarded) -> Board:
        """Opens the port and learns the board's buffer size. `timeout_s` holds for each request.

        `guard` is called before each request; what it raises, the method raises.
        """
        session = Session(port, timeout_s, guard)
        session.open()
        return cls(session)

    def close(self) -> None:
        """Gives the port back."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Every group's requests, in the order of docs/internals.md

    def echo(self, text: str) -> str:
        """What the board makes of `text`: the same."""
        return answers.clean(self._session.ask(EchoWrite(d=text), "echo").r, len(text) + 1)

    def reset(self, into_recovery: bool = False) -> None:
        """Resets the board, if asked into serial recovery; returns when it has said it will."""
        request = ResetWrite(boot_mode=1) if into_recovery else ResetWrite()
        self._session.ask(request, "reset", tries=1)

    def mode(self) -> Mode:
        """Who answers: boot's recovery or the application."""
        what = "bootloader info"
        answer = self._session.ask(messages.ModeRequest(query="mode"), what)
        if answer.mode not in [known.value for known in Mode]:
            raise BadAnswerError(
                self.port, what, f"no mode of coffret: {answers.clean(answer.mode)}"
            )
        return Mode(answer.mode)

    def images(self) -> tuple[SlotImage, ...]:
        """The images in the slots that hold one."""
        what = "image state"
        return self._slots(self._session.ask(ImageStatesRead(), what).images, what)

    def mark_test(self, digest: bytes) -> tuple[SlotImage, ...]:
        """Marks the image for one trial boot; the board checks it first."""
        return self._write_state(ImageStatesWrite(hash=digest, confirm=False), "mark for test")

    def confirm(self) -> tuple[SlotImage, ...]:
        """Keeps the running image, and raises the board's security counter to the image's."""
        return self._write_state(ImageStatesWrite(confirm=True), "confirm")

    def _write_state(self, request: ImageStatesWrite, what: str) -> tuple[SlotImage, ...]:
        return self._slots(self._session.ask(request, what, timeout_s=SLOW_S).images, what)

    def _slots(self, states: list[ImageState], what: str) -> tuple[SlotImage, ...]:
        if len(states) > _SLOTS or len({state.slot for state in states}) != len(states):
            raise BadAnswerError(self.port, what, "more slots than a board has")
        try:
            return tuple(
                SlotImage(
                    slot=range(_SLOTS).index(state.slot),
                    version=answers.version(state.version),
                    digest=answers.digest(state.hash),
                    active=bool(state.active),
                    confirmed=bool(state.confirmed),
                    pending=bool(state.pending),
                )
                for state in states
            )
        except ValueError as failure:
            raise BadAnswerError(self.port, what, str(failure)) from failure

    def upload(self, image: bytes, progress: Progress | None = None) -> None:
        """Writes an image; `progress(done, total)` in bytes. Its address names the slot."""
        self._session.upload(image, progress)

    def erase(self) -> None:
        """Erases the slot that does not run."""
        self._session.ask(ImageErase(), "erase", timeout_s=SLOW_S)

    def evidence(self, nonce: bytes, enclave: str | None = None) -> Evidence:
        """Evidence over a fresh nonce of 32, 48 or 64 bytes; with a report on this enclave.

        Raises RefusedError (NOT_FOUND) when there is no such enclave.
        """
        if len(nonce) not in NONCE_SIZES:
            raise ValueError(f"a nonce has {NONCE_SIZES} bytes, not {len(nonce)}")
        answer = self._session.ask(
            messages.EvidenceRequest(nonce=nonce, enclave=enclave), "evidence", timeout_s=SLOW_S
        )
        return Evidence(answer.token, answer.cert)

    def pairwise(self, nonce: bytes, verifier: bytes, *, enrol: bool) -> Evidence:
        """Evidence by the key for the verifier with this id; to enrol, the ordinary one names it.

        Nonce and id have 32 bytes each. Raises RefusedError (NOT_SUPPORTED) when the image was
        built without pairwise identities.
        """
        asked = messages.PairwiseRequest(nonce=nonce, verifier=verifier, enrol=enrol)
        answer = self._session.ask(asked, "pairwise", timeout_s=SLOW_S)
        return Evidence(answer.token, answer.cert)

    def identity(self) -> Identity:
        """Who the device says it is."""
        answer = self._session.ask(messages.IdentityRequest(), "identity")
        return Identity(answer.id, answer.key, answer.impl, answer.lifecycle, answer.boot)

    def endorsement(self) -> bytes | None:
        """The endorsement the board holds; None when it was never provisioned."""
        try:
            answer = self._session.ask(messages.EndorsementReadRequest(), "endorsement")
        except RefusedError as refused:
            if refused.code == messages.GroupError.NOT_FOUND:
                return None
            raise
        return answer.endorsement or None

    def endorse(self, endorsement: bytes) -> None:
        """Stores an endorsement (at most 1,024 bytes); the board's lifecycle becomes `secured`."""
        self._session.ask(messages.EndorsementWriteRequest(endorsement=endorsement), "endorse")

    def settings(self) -> str:
        """What was given to this board: lines NAME=VALUE.

        Raises RefusedError: with NOT_SUPPORTED, its image reads no settings.
        """
        return self._session.ask(messages.SettingsReadRequest(), "settings").settings

    def set_settings(self, text: str) -> None:
        """Replaces them all. Raises RefusedError: with ACCESS_DENIED, the board is secured."""
        self._session.ask(messages.SettingsWriteRequest(settings=text), "settings")

    def decommission(self, order: bytes) -> None:
        """Stores an order (at most 512 bytes) that boot judges at the next start."""
        self._session.ask(messages.DecommissionRequest(order=order), "decommission")

    def refusal(self) -> Reason | None:
        """Why the board refused an image last, over SMP or when it booted; None: it never did."""
        return self._session.refusal()

    def log(self, start: int = 0) -> tuple[int, tuple[LogEntry, ...]]:
        """One page of the log from sequence number `start`, and where the next page starts."""
        answer = self._session.ask(messages.LogRequest(start=start), "log")
        try:
            return answer.next, tuple(answers.log_entry(fields) for fields in answer.entries)
        except ValueError as failure:
            raise BadAnswerError(self.port, "log", str(failure)) from failure

    def enclaves(self) -> Enclaves:
        """How the enclaves are."""
        answer = self._session.ask(messages.EnclavesRequest(), "enclaves")
        states = (
            EnclaveState(
                name=answers.clean(facts.name),
                state=answers.task_state(facts.state),
                faults=facts.faults,
                restarts=facts.restarts,
                last=answers.clean(str(facts.last)),
                cpu_ms=facts.cpu_ms,
                memory=facts.memory,
            )
            for facts in answer.enclaves
        )
        wear = answer.store_erases
        erases = None if wear is None else (wear[0], wear[1])
        return Enclaves(tuple(states), answer.slot, answer.uptime_ms, erases)


def wait_for(
    port: str,
    seconds: float,
    ready: Callable[[Board], T | None],
    guard: Guard = unguarded,
) -> T:
    """Opens the port again and again until `ready` returns something: USB ports come and go.

    Raises what the last attempt raised, or NoAnswerError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with Board.open(port, timeout_s=0.5, guard=guard) as board:
                found = ready(board)
                if found is not None:
                    return found
        except (NoPortError, NoAnswerError, BadAnswerError):
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise NoAnswerError(port, "a reset", seconds)
        time.sleep(_POLL_S)
