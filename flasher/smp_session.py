# SPDX-License-Identifier: Apache-2.0
"""An open port at which a board answers SMP: one request at a time, its failures named."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from serial import SerialException
from smp.error import ErrorV1, ErrorV2
from smp.header import GroupId
from smpclient.exceptions import SMPUploadError
from smpclient.generics import SMPRequest, TEr1, TEr2, TRep, error
from smpclient.requests.os_management import MCUMgrParametersRead
from smpclient.transport import SMPTransportDisconnected

from flasher import answers, messages
from flasher.errors import (
    BadAnswerError,
    GoneError,
    NoAnswerError,
    NoPortError,
    PortBusyError,
    RefusedError,
)
from flasher.reasons import IMAGE_ERRORS, OTHER_ERRORS, Reason
from flasher.transport import SLOW_S, Client, Guard, MalformedError, Transport
from flasher.transports.serial_link import open_port

# A chunk may have to be written to flash first: it gets this many times a request's patience.
_CHUNK_PATIENCE = 4
_TRIES = 3
# smpclient tries again every half second while this lasts: one try.
_OPEN_S = 0.2
_BAUD = 115_200

T = TypeVar("T")
Progress = Callable[[int, int], None]


class Session:
    """One port. Its methods raise what `flasher.smp.Board` says."""

    def __init__(self, port: str, timeout_s: float, guard: Guard) -> None:
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

    def open(self) -> None:
        """Opens the port and learns the board's buffer size."""
        try:
            self._connect()
            self._greet()
        except BaseException:
            self.close()
            raise

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
            parameters = self.ask(MCUMgrParametersRead(), "mcumgr parameters")
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

    def ask(
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

    def upload(self, image: bytes, progress: Progress | None = None) -> None:
        """Writes an image; `progress(done, total)` in bytes."""
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

    def refusal(self) -> Reason | None:
        """Why the board refused an image last, over SMP or when it booted; None: it never did."""
        answer = self.ask(messages.RefusalRequest(), "refusal")
        known = answer.reason in set(Reason) and answer.reason != Reason.OK
        return Reason(answer.reason) if known else None
