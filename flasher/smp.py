# SPDX-License-Identifier: Apache-2.0
"""A board at a serial port, spoken to in SMP; synchronous on the outside.

with Board.open("/dev/ttyACM0") as board:
    print(board.mode(), board.images())
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from serial import SerialException
from smp.error import ErrorV1, ErrorV2
from smp.header import GroupId
from smp.image_management import ImageState
from smpclient.exceptions import SMPUploadError
from smpclient.generics import SMPRequest, TEr1, TEr2, TRep, error
from smpclient.requests.image_management import ImageErase, ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead, ResetWrite
from smpclient.transport import SMPTransportDisconnected

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
    GoneError,
    NoAnswerError,
    NoPortError,
    PortBusyError,
    RefusedError,
)
from flasher.reasons import IMAGE_ERRORS, OTHER_ERRORS, Reason
from flasher.transport import SLOW_S, Client, Guard, MalformedError, Transport, unguarded
from flasher.transports.serial_link import open_port

TIMEOUT_S = 2.5
NONCE_SIZES = (32, 48, 64)
# A chunk may have to be written to flash first: it gets this many times a request's patience.
_CHUNK_PATIENCE = 4
_TRIES = 3
_POLL_S = 0.1
# smpclient tries again every half second while this lasts: one try.
_OPEN_S = 0.2
_BAUD = 115_200
_SLOTS = 2

T = TypeVar("T")
Progress = Callable[[int, int], None]


class Board:
    """One open port. Not for several threads at once.

    Every method raises NoPortError (port gone), NoAnswerError (silence), BadAnswerError (nonsense)
    and RefusedError (the board said no).
    """

    def __init__(self, port: str, timeout_s: float = TIMEOUT_S, guard: Guard = unguarded) -> None:
        self.port = port
        self.timeout_s = timeout_s
        # The library reports through exceptions what it also logs; a person wants it once.
        for name in ("smp", "smpclient"):
            if not logging.getLogger(name).handlers:
                logging.getLogger(name).addHandler(logging.NullHandler())
        self._runner = asyncio.Runner()
        self._transport = Transport(exclusive=True, write_timeout=timeout_s)
        self._transport.guard = guard
        self._client = Client(self._transport, port, timeout_s)
        self._open = False

    @classmethod
    def open(cls, port: str, timeout_s: float = TIMEOUT_S, guard: Guard = unguarded) -> Board:
        """Opens the port and learns the board's buffer size. `timeout_s` holds for each request.

        `guard` is called before each request; what it raises, the method raises.
        """
        board = cls(port, timeout_s, guard)
        try:
            board._connect()
            board._greet()
        except BaseException:
            board.close()
            raise
        return board

    def _connect(self) -> None:
        if not self.port.startswith("COM") and not Path(self.port).exists():
            raise NoPortError(f"{self.port}: there is no such port")
        try:
            # Not through SMPClient.connect: it goes on when the board is silent.
            self._runner.run(self._transport.connect(self.port, _OPEN_S))
        except (TimeoutError, SerialException, OSError) as failure:
            # smpclient keeps the reason to itself: what stands in the way now does as well.
            open_port(self.port, _BAUD).close()
            raise PortBusyError(self.port) from failure
        self._open = True

    def _greet(self) -> None:
        try:
            parameters = self._ask(MCUMgrParametersRead(), "mcumgr parameters")
        except RefusedError:
            return  # the command is optional: smpclient then assumes one line at a time
        try:
            self._transport.initialize(parameters.buf_size)
        except (MalformedError, ValueError) as failure:
            raise BadAnswerError(self.port, "mcumgr parameters", str(failure)) from failure

    def close(self) -> None:
        """Gives the port back."""
        if self._open:
            self._open = False
            self._runner.run(self._transport.disconnect())
        self._runner.close()

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
        return answers.clean(self._ask(EchoWrite(d=text), "echo").r, len(text) + 1)

    def reset(self, into_recovery: bool = False) -> None:
        """Resets the board, if asked into serial recovery; returns when it has said it will."""
        request = ResetWrite(boot_mode=1) if into_recovery else ResetWrite()
        self._ask(request, "reset", tries=1)

    def mode(self) -> Mode:
        """Who answers: boot's recovery or the application."""
        what = "bootloader info"
        answer = self._ask(messages.ModeRequest(query="mode"), what)
        if answer.mode not in [known.value for known in Mode]:
            raise BadAnswerError(
                self.port, what, f"no mode of coffret: {answers.clean(answer.mode)}"
            )
        return Mode(answer.mode)

    def images(self) -> tuple[SlotImage, ...]:
        """The images in the slots that hold one."""
        what = "image state"
        return self._slots(self._ask(ImageStatesRead(), what).images, what)

    def mark_test(self, digest: bytes) -> tuple[SlotImage, ...]:
        """Marks the image for one trial boot; the board checks it first."""
        return self._write_state(ImageStatesWrite(hash=digest, confirm=False), "mark for test")

    def confirm(self) -> tuple[SlotImage, ...]:
        """Keeps the running image, and raises the board's security counter to the image's."""
        return self._write_state(ImageStatesWrite(confirm=True), "confirm")

    def _write_state(self, request: ImageStatesWrite, what: str) -> tuple[SlotImage, ...]:
        return self._slots(self._ask(request, what, timeout_s=SLOW_S).images, what)

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
        done = 0

        def told(now: int, total: int) -> None:
            nonlocal done
            done = now
            if progress is not None:
                progress(now, total)

        try:
            self._run(self._upload(image, told), "upload", SLOW_S)
        except SMPUploadError as failure:
            self._refused("upload", failure.args[0] if failure.args else None)
        except GoneError as gone:
            raise gone.at(done, len(image)) from gone

    async def _upload(self, image: bytes, progress: Progress) -> None:
        last = 0
        stalls = 0
        async for offset in self._client.upload(
            image, subsequent_timeout_s=_CHUNK_PATIENCE * self.timeout_s
        ):
            if not 0 <= offset <= len(image):
                raise MalformedError(f"an offset of {offset} in {len(image)} bytes")
            # A board may ask for a chunk again after line noise, but not for ever.
            stalls = stalls + 1 if offset <= last else 0
            if stalls > _TRIES:
                raise MalformedError(f"it does not get past offset {last}")
            last = max(last, offset)
            progress(offset, len(image))

    def erase(self) -> None:
        """Erases the slot that does not run."""
        self._ask(ImageErase(), "erase", timeout_s=SLOW_S)

    def evidence(self, nonce: bytes, enclave: str | None = None) -> Evidence:
        """Evidence over a fresh nonce of 32, 48 or 64 bytes; with a report on this enclave.

        Raises RefusedError (NOT_FOUND) when there is no such enclave.
        """
        if len(nonce) not in NONCE_SIZES:
            raise ValueError(f"a nonce has {NONCE_SIZES} bytes, not {len(nonce)}")
        answer = self._ask(
            messages.EvidenceRequest(nonce=nonce, enclave=enclave), "evidence", timeout_s=SLOW_S
        )
        return Evidence(answer.token, answer.cert)

    def pairwise(self, nonce: bytes, verifier: bytes, *, enrol: bool) -> Evidence:
        """Evidence by the key for the verifier with this id; to enrol, the ordinary one names it.

        Nonce and id have 32 bytes each. Raises RefusedError (NOT_SUPPORTED) when the image was
        built without pairwise identities.
        """
        asked = messages.PairwiseRequest(nonce=nonce, verifier=verifier, enrol=enrol)
        answer = self._ask(asked, "pairwise", timeout_s=SLOW_S)
        return Evidence(answer.token, answer.cert)

    def identity(self) -> Identity:
        """Who the device says it is."""
        answer = self._ask(messages.IdentityRequest(), "identity")
        return Identity(answer.id, answer.key, answer.impl, answer.lifecycle, answer.boot)

    def endorsement(self) -> bytes | None:
        """The endorsement the board holds; None when it was never provisioned."""
        try:
            return self._ask(messages.EndorsementReadRequest(), "endorsement").endorsement or None
        except RefusedError as refused:
            if refused.code == messages.GroupError.NOT_FOUND:
                return None
            raise

    def endorse(self, endorsement: bytes) -> None:
        """Stores an endorsement (at most 1,024 bytes); the board's lifecycle becomes `secured`."""
        self._ask(messages.EndorsementWriteRequest(endorsement=endorsement), "endorse")

    def settings(self) -> str:
        """What was given to this board: lines NAME=VALUE.

        Raises RefusedError: with NOT_SUPPORTED, its image reads no settings.
        """
        return self._ask(messages.SettingsReadRequest(), "settings").settings

    def set_settings(self, text: str) -> None:
        """Replaces them all. Raises RefusedError: with ACCESS_DENIED, the board is secured."""
        self._ask(messages.SettingsWriteRequest(settings=text), "settings")

    def decommission(self, order: bytes) -> None:
        """Stores an order (at most 512 bytes) that boot judges at the next start."""
        self._ask(messages.DecommissionRequest(order=order), "decommission")

    def refusal(self) -> Reason | None:
        """Why the board refused an image last, over SMP or when it booted; None: it never did."""
        answer = self._ask(messages.RefusalRequest(), "refusal")
        known = answer.reason in set(Reason) and answer.reason != Reason.OK
        return Reason(answer.reason) if known else None

    def log(self, start: int = 0) -> tuple[int, tuple[LogEntry, ...]]:
        """One page of the log from sequence number `start`, and where the next page starts."""
        answer = self._ask(messages.LogRequest(start=start), "log")
        try:
            return answer.next, tuple(answers.log_entry(fields) for fields in answer.entries)
        except ValueError as failure:
            raise BadAnswerError(self.port, "log", str(failure)) from failure

    def enclaves(self) -> Enclaves:
        """How the enclaves are."""
        answer = self._ask(messages.EnclavesRequest(), "enclaves")
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

    # How a request is made

    def _ask(
        self,
        request: SMPRequest[TRep, TEr1, TEr2],
        what: str,
        *,
        timeout_s: float | None = None,
        tries: int = _TRIES,
    ) -> TRep:
        """The board's good answer. Requests are idempotent unless `tries` is 1."""
        seconds = self.timeout_s if timeout_s is None else timeout_s
        for attempt in range(1, tries + 1):
            try:
                answer = self._run(self._client.request(request, seconds), what, seconds)
            except NoAnswerError:
                if attempt == tries or seconds >= SLOW_S:
                    raise
                continue
            if error(answer):
                self._refused(what, answer)
            return answer  # type: ignore[return-value]
        raise AssertionError("unreachable")

    def _run(self, work: Coroutine[Any, Any, T], what: str, seconds: float) -> T:
        try:
            return self._runner.run(work)
        except TimeoutError as failure:
            raise NoAnswerError(self.port, what, seconds) from failure
        except MalformedError as failure:
            raise BadAnswerError(self.port, what, str(failure)) from failure
        except (SMPTransportDisconnected, SerialException, OSError) as failure:
            raise GoneError(self.port, what) from failure

    def _refused(self, what: str, answer: Any) -> None:
        """Raises RefusedError with what the board's error says."""
        if isinstance(answer, ErrorV1):
            group, code, said = 0, int(answer.rc), answer.rc.name
        elif isinstance(answer, ErrorV2):
            group, code, said = int(answer.err.group), int(answer.err.rc), answer.err.rc.name
        else:
            group, code, said = 0, 0, answers.clean(str(answer))
        reason = self._reason(code) if group == GroupId.IMAGE_MANAGEMENT else None
        if reason is not None:
            raise RefusedError(
                f"{self.port}: the board refused ({what}): {reason.words}",
                reason.mend,
                reason,
                code,
            )
        words, mend = said, "see the board's log, and that it runs this version of coffret"
        if group == GroupId.IMAGE_MANAGEMENT:
            words, mend = OTHER_ERRORS.get(code, (words, mend))
        raise RefusedError(f"{self.port}: the board refused ({what}): {words}", mend, None, code)

    def _reason(self, code: int) -> Reason | None:
        """Why an image was refused just now: the board's last refusal, if it fits SMP's `code`."""
        try:
            refusal = self.refusal()
        except RefusedError:
            return None  # a server that is not ours
        return refusal if refusal is not None and IMAGE_ERRORS.get(refusal) == code else None


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
