# SPDX-License-Identifier: Apache-2.0
"""smpclient's serial transport and client, hardened against a board that lies or babbles."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from typing import TypeAlias

import serial
from pydantic import ValidationError
from smp import header as smpheader
from smp import message as smpmessage
from smp import packet as smppacket
from smpclient import SMPClient
from smpclient.generics import SMPRequest, TEr1, TEr2, TRep
from smpclient.requests.image_management import ImageUploadWrite
from smpclient.transport import SMPTransportDisconnected
from smpclient.transport.serial import SMPSerialTransport

# An answer is at most 64 KiB (its length is 16 bits), 4/3 of that in base64.
_UNREAD_MAX = 96 * 1024
# Buffers outside this are nonsense or would make packets longer than a 16-bit length can say.
_BUFFER_MIN, _BUFFER_MAX = 128, 16 * 1024
# The first chunk of an upload may erase the whole slot, and the check of an image hashes it all.
SLOW_S = 40.0
# A chunk, or the answer to it, may get lost on a noisy line. It is sent so often.
_CHUNK_TRIES = 4

# Asked before each request to a board; raises when this process may not touch it (any more).
Guard: TypeAlias = Callable[[], None]


def unguarded() -> None:
    """The guard of a board that nobody else can reach."""


class MalformedError(Exception):
    """An answer that breaks the protocol; the text says how."""


class Transport(SMPSerialTransport):
    """Bounded memory, a bounded idea of the board's buffer, and a guard before each request."""

    guard: Guard = staticmethod(unguarded)

    # smpclient's 5 ms are a fifth of what a chunk takes at 1 Mbaud.
    _POLLING_INTERVAL_S = 0.0005  # type: ignore[misc]

    async def send(self, data: bytes) -> None:
        """Sends one message, if the guard lets it, and does not wait until the line is idle again.

        smpclient writes line by line and then polls the port until it is empty.
        """
        self.guard()
        if len(data) > self.max_unencoded_size:
            raise ValueError(f"{len(data)} bytes are more than the board takes at once")
        with self._serial_exception_to_disconnected():
            self._conn.write(b"".join(smppacket.encode(data, line_length=self._line_length)))

    async def _read_and_process(self, read_until_one_smp_packet: bool) -> None:
        """smpclient's, which would wait for a terminal that has hung up."""
        while True:
            data = await self._read_all()
            if data:
                self._buffer.extend(data)
                await self._process_buffer()
            elif _hung_up(self._conn):
                raise SMPTransportDisconnected(f"{self._conn.port} has hung up")
            else:
                await self._something_to_read()
            if not read_until_one_smp_packet or self._smp_packet_queue.qsize():
                return

    async def _something_to_read(self) -> None:
        """Waits until the port has something, or hangs up. Where the system can wait for a port,
        that costs no processor time: a worker has many boards, most of which are busy writing.
        """
        if not hasattr(select, "poll"):
            await asyncio.sleep(self._POLLING_INTERVAL_S)
            return
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(self._conn.fileno(), arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self._conn.fileno())

    async def _process_buffer(self) -> None:
        await super()._process_buffer()
        # Text between frames is of no use here.
        self._serial_buffer.clear()
        if len(self._buffer) > _UNREAD_MAX:
            self._buffer.clear()
            raise MalformedError(f"over {_UNREAD_MAX} bytes without the end of a line")

    def initialize(self, smp_server_transport_buffer_size: int) -> None:
        """Takes the board's buffer size. Raises MalformedError when no board can mean it."""
        if smp_server_transport_buffer_size < _BUFFER_MIN:
            raise MalformedError(f"a buffer of {smp_server_transport_buffer_size} bytes")
        super().initialize(min(smp_server_transport_buffer_size, _BUFFER_MAX))


def _hung_up(port: serial.Serial) -> bool:
    """Whether nothing is behind the port any more, where the system can tell (POSIX)."""
    if not hasattr(select, "poll"):
        return False
    asked = select.poll()
    asked.register(port.fileno(), 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in asked.poll(0))


class Client(SMPClient):
    """An SMP client that drops answers to earlier requests and checks what smp leaves unchecked."""

    _upload_size = 0

    async def request(
        self, request: SMPRequest[TRep, TEr1, TEr2], timeout_s: float | None = None
    ) -> TRep | TEr1 | TEr2:
        """The answer. Raises TimeoutError, MalformedError, SMPTransportDisconnected."""
        patience = self._timeout_s if timeout_s is None else timeout_s
        if isinstance(request, ImageUploadWrite):
            return await self._upload_chunk(request, patience)
        return await self._ask(request, patience)

    async def _upload_chunk(
        self, request: SMPRequest[TRep, TEr1, TEr2], patience: float
    ) -> TRep | TEr1 | TEr2:
        """A chunk is sent again when nobody answers: one that came already changes nothing.

        Not the first, which may erase for long, nor the last, which has the image checked and
        ends the upload: the board would take it for the beginning of another.
        """
        assert isinstance(request, ImageUploadWrite)
        if request.len is not None:
            self._upload_size = request.len
        if request.off == 0 or request.off + len(request.data) >= self._upload_size:
            return await self._ask(request, SLOW_S)
        for _ in range(_CHUNK_TRIES - 1):
            try:
                return await self._ask(request, patience)
            except TimeoutError:
                continue
        return await self._ask(request, patience)

    async def _ask(
        self, request: SMPRequest[TRep, TEr1, TEr2], timeout_s: float
    ) -> TRep | TEr1 | TEr2:
        async with asyncio.timeout(timeout_s):
            await self._transport.send(request.BYTES)
            while True:
                frame = await self._frame()
                header = _header(frame)
                if header is not None and header.sequence == request.header.sequence:
                    return _parse(request, header, frame)

    async def _frame(self) -> bytes:
        while True:
            try:
                return await self._transport.receive()
            except (MalformedError, SMPTransportDisconnected, OSError):
                raise
            except Exception as error:
                logging.getLogger(__name__).debug("dropped a broken frame: %s", error)


def _header(frame: bytes) -> smpheader.Header | None:
    """None for a frame that is no SMP answer at all."""
    try:
        return smpheader.Header.loads(frame[: smpheader.Header.SIZE])
    except Exception:
        return None


def _parse(
    request: SMPRequest[TRep, TEr1, TEr2], header: smpheader.Header, frame: bytes
) -> TRep | TEr1 | TEr2:
    expected = smpheader.OP(request.header.op + 1)
    if header.op != expected or header.command_id != request.header.command_id:
        raise MalformedError("the answer is to another command")
    if header.group_id != request.header.group_id:
        raise MalformedError("the answer is of another group")
    if header.length != len(frame) - smpheader.Header.SIZE:
        raise MalformedError("the length in its header is wrong")
    first = ""
    candidates: tuple[type[smpmessage.Response], ...]
    candidates = (request._Response, request._ErrorV1, request._ErrorV2)
    for kind in candidates:
        try:
            return kind.loads(frame)  # type: ignore[return-value]
        except Exception as error:
            first = first or _brief(error)
    raise MalformedError(first)


def _brief(error: Exception) -> str:
    """What a parser complains of, without the bytes, which could rewrite a terminal."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:120]
    return type(error).__name__
