# SPDX-License-Identifier: Apache-2.0
"""Strangers without a key: requests that never end, heads without end, numbers without end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from attest.service.protocol import HEAD_MAX, MESSAGE_MAX, CertificateProtocol
from tests.attest.running_service import Home, RunningService


class Impatient(CertificateProtocol):
    """The same, with less patience than a test has."""

    request_within_s = 0.05


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the whole body and answers with its length."""
    assert scope["type"] == "http"
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def _left_by_server(sent: list[bytes], protocol: type[CertificateProtocol]) -> bytes:
    """What a client got that sends this and then only waits, until the server ends it."""

    async def attack() -> bytes:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            _application, http=protocol, lifespan="off", log_config=None, loop="uvloop"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            for part in sent:
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass  # the server has had enough
        try:
            got = await reader.read()
        except ConnectionError:
            got = b""
        writer.close()
        server.should_exit = True
        await serving
        return got

    return asyncio.run(attack())


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n"],
    ids=["nothing", "a line", "a head", "an empty line"],
)
def test_who_never_finishes_a_head_is_not_waited_for(beginning: bytes) -> None:
    assert _left_by_server([beginning], Impatient) == b""


def test_who_never_finishes_a_body_is_not_waited_for() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
    assert b"200" not in _left_by_server([head], Impatient)


@pytest.mark.parametrize(
    "endless",
    [
        [b"GET / HTTP/1.1\r\nHost: a\r\n", *[b"X-Y: z\r\n" * 1024] * 64],
        [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", *[b"z" * 8192] * 64],
        [b"GET /", *[b"z" * 8192] * 64],
    ],
    ids=["headers", "one header", "path"],
)
def test_a_head_without_end_is_cut_off(endless: list[bytes]) -> None:
    assert sum(map(len, endless)) > 10 * HEAD_MAX
    assert b"200" not in _left_by_server(endless, CertificateProtocol)


def test_trailers_without_end_are_cut_off() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    trailers = [b"X-Y: z\r\n" * 8192] * (2 * MESSAGE_MAX // (8 * 8192))
    assert b"200" not in _left_by_server([head, *trailers], CertificateProtocol)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = Home.make(tmp_path_factory.mktemp("service"))
    with RunningService(home) as service, service.client() as made:
        yield made
    home.inventory.close()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/results/{}",
        "/v1/devices?start={}",
        "/?start={}&group=all",
        "/results/{}",
        "/v1/log/proof/result/{}",
    ],
)
@pytest.mark.parametrize("number", [1 << 63, 1 << 70, -(1 << 70)])
def test_a_number_that_no_database_holds_is_an_answer_not_a_failure(
    client: httpx.Client, path: str, number: int
) -> None:
    answer = client.get(path.format(number))
    assert 400 <= answer.status_code < 500, answer.text
