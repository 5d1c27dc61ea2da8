# SPDX-License-Identifier: Apache-2.0
"""Hostile bytes at the port, with the address and undefined-behaviour sanitizers watching."""

from __future__ import annotations

import itertools
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smp import packet

from tests.smp.simulated_board import KINDS, make_image, sources_of, write_config
from tests.store.host_library import compile_host, host_compiler

HERE = Path(__file__).parent
SANITIZERS = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)

IMAGE = make_image(1)
COMMANDS = [
    (0, 0),
    (0, 5),
    (0, 6),
    (0, 8),
    (1, 0),
    (1, 1),
    (1, 5),
    (64, 0),
    (65, 0),
    (65, 1),
    (65, 2),
]
COMMANDS += [(66, 0), (67, 0)]
KEYS = ["d", "off", "data", "len", "sha", "image", "upgrade", "hash", "confirm", "slot", "query"]
KEYS += ["boot_mode", "nonce", "endorsement", "from", "x"]


@dataclass(slots=True)
class WatchedServer:
    program: Path
    process: subprocess.Popen[bytes]
    link: socket.socket
    errors: Path
    sequence: Iterator[int] = field(default_factory=itertools.count)
    rest: bytes = b""

    def survives(self, data: bytes) -> None:
        """Sends it, then an echo; every reply up to the echo's must be well-formed."""
        text = f"echo {next(self.sequence)}"
        frame = message(2, 0, 0, cbor2.dumps({"d": text}))
        # A newline first, so that an unfinished line is over.
        self.send(data + b"\n" + b"".join(packet.encode(frame)))
        while self.reply() != {"r": text}:
            pass

    def send(self, data: bytes) -> None:
        try:
            self.link.sendall(data)
        except OSError:
            pytest.fail(self.last_words())

    def last_words(self) -> str:
        self.process.wait(10)
        return self.errors.read_text()

    def line(self) -> bytes:
        while b"\n" not in self.rest:
            data = self.link.recv(65536)
            if not data:
                pytest.fail(self.last_words())
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        assert len(line) <= 126
        return line + b"\n"

    def reply(self) -> object:
        decoder = packet.decode()
        next(decoder)
        while True:
            try:
                decoder.send(self.line())
            except StopIteration as end:
                frame: bytes = end.value
                assert len(frame) == 8 + struct.unpack_from("!H", frame, 2)[0]
                return cbor2.loads(frame[8:])


def message(operation: int, group: int, command: int, payload: bytes, version: int = 1) -> bytes:
    head = struct.pack("!BBHHBB", version << 3 | operation, 0, len(payload), group, 7, command)
    return head + payload


@pytest.fixture(scope="module", params=KINDS[:2])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WatchedServer]:
    if "ziglang" in host_compiler():
        pytest.skip("the sanitizers' libraries come with a system compiler")
    directory = tmp_path_factory.mktemp("fuzz")
    write_config(request.param, directory)
    sources = [*sources_of(request.param), HERE / "fuzzed_server.c"]
    flags = ("-O1", "-g", "-DSIMULATED_BYTEWISE=1", *SANITIZERS)
    program = compile_host(sources, directory, directory / "server", flags)
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    errors = directory / "errors"
    with errors.open("wb") as log:
        process = subprocess.Popen([str(program)], stdin=theirs.fileno(), stderr=log)
    theirs.close()
    running = WatchedServer(program, process, ours, errors)
    yield running
    ours.close()
    assert process.wait(10) == 0, errors.read_text()


values = st.one_of(
    st.integers(-1, 2**33),
    st.booleans(),
    st.binary(max_size=80),
    st.text(max_size=10),
    st.sampled_from([2**32 - 1, 2**31, 512, len(IMAGE), IMAGE[:600], b"\0" * 32, "mode", [], {}]),
)
payloads = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), values, max_size=6).map(cbor2.dumps),
    st.binary(max_size=60),
)
messages = st.builds(
    lambda operation, command, payload, version: message(
        operation, command[0], command[1], payload, version
    ),
    st.sampled_from([2, 0, 2, 1, 7]),
    st.sampled_from(COMMANDS),
    payloads,
    st.sampled_from([1, 0, 2]),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good message in which some bytes are not."""
    data = bytearray(draw(messages))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))])


frames = st.builds(
    lambda data, length: b"".join(packet.encode(data, line_length=length)),
    st.one_of(messages, mutated()),
    st.sampled_from([127, 8, 40]),
)
wire = st.lists(
    st.one_of(frames, st.binary(max_size=40), st.just(b"\x06\x09"), st.just(b"\x04\x14AAAA\n")),
    max_size=6,
).map(b"".join)
many = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@many
@given(data=wire)
def test_no_bytes_break_the_server(server: WatchedServer, data: bytes) -> None:
    server.survives(data)


@many
@given(
    edits=st.lists(st.tuples(st.integers(0, 31), st.integers(0, 255)), max_size=4),
    tail=st.binary(max_size=64),
    announced=st.integers(32, 2000),
)
def test_no_image_header_breaks_the_server(
    server: WatchedServer, edits: list[tuple[int, int]], tail: bytes, announced: int
) -> None:
    """Uploads something that may pass as an image, and has it listed, marked and erased."""
    image = bytearray(IMAGE[:announced] + tail)
    for offset, value in edits:
        image[offset] = value
    head = {"off": 0, "len": len(image), "data": bytes(image[:1500])}
    rest = {"off": 1500, "data": bytes(image[1500:])}
    requests = [(1, head), (1, rest), (0, {"hash": IMAGE[-104:-72]}), (5, {"slot": 1})]
    data = b"".join(
        b"".join(packet.encode(message(2, 1, command, cbor2.dumps(body))))
        for command, body in requests
    )
    server.survives(data + b"".join(packet.encode(message(0, 1, 0, b"\xa0"))))


def test_the_sanitizers_watch(server: WatchedServer) -> None:
    """The program was really built with them."""
    binary = server.program.read_bytes()
    assert b"__asan_init" in binary and b"__ubsan_handle" in binary
