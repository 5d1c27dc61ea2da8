# SPDX-License-Identifier: Apache-2.0
"""CBOR, framing and image headers against second opinions; a sanitizer sees every byte too far."""

from __future__ import annotations

import os
import struct
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smp import packet

from tests.smp.simulated_board import RECOVERY, make_image, write_config
from tests.store.host_library import RUNTIME, compile_host, host_compiler

HERE = Path(__file__).parent
READ_MAP, FRAME, SLOT, WRITE, SEND = range(5)
IMAGE = make_image(0, b"code" * 8)
many = settings(max_examples=600, deadline=None)


@dataclass(frozen=True, slots=True)
class Parsers:
    process: subprocess.Popen[bytes]

    def __call__(self, kind: int, data: bytes, parameter: int = 0) -> bytes:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(struct.pack("<BBH", kind, parameter, len(data)) + data)
        self.process.stdin.flush()
        head = self.process.stdout.read(2)
        if len(head) < 2:
            assert self.process.stderr is not None
            pytest.fail(self.process.stderr.read().decode())
        return self.process.stdout.read(int.from_bytes(head, "little"))


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parsers]:
    if "ziglang" in host_compiler():
        pytest.skip("the sanitizers' libraries come with a system compiler")
    directory = tmp_path_factory.mktemp("parsers")
    write_config(RECOVERY, directory)
    sources = sorted((RUNTIME / "cbor").glob("*.c"))
    sources += [RUNTIME / "smp" / "frame.c", RUNTIME / "smp" / "slot_image.c"]
    sources.append(HERE / "fuzzed_parsers.c")
    flags = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    program = compile_host(sources, directory, directory / "parsers", flags)
    pipe = subprocess.PIPE
    process = subprocess.Popen([str(program)], stdin=pipe, stdout=pipe, stderr=pipe)
    yield Parsers(process)
    process.communicate()


def read_map(parsers: Parsers, data: bytes) -> dict[str, Any] | None:
    """What the C reads; None: refused."""
    answer = parsers(READ_MAP, data)
    if not answer:
        return None
    found: dict[str, Any] = {}
    at = 0
    for key in "ubtf":
        present, value = struct.unpack_from("<II", answer, at)
        at += 8
        if not present:
            continue
        found[key] = value
        if key in "bt":
            found[key] = answer[at : at + value]
            at += value
    assert at == len(answer)
    return found


def expected(data: bytes) -> dict[str, Any] | None:
    """What a map with these keys means, by cbor2; None: the C must refuse it."""
    stream = cbor2.loads(data)
    types = {"u": int, "b": bytes, "t": str, "f": bool}
    if not isinstance(stream, dict):
        return None
    found: dict[str, Any] = {}
    for key, value in stream.items():
        if not isinstance(key, str) or isinstance(value, list | dict | cbor2.CBORTag):
            return None
        if key not in types:
            continue
        if type(value) is not types[key] or (isinstance(value, int) and not 0 <= value < 2**32):
            return None
        found[key] = value.encode() if isinstance(value, str) else value
    return found


flat = st.one_of(
    st.integers(-(2**64), 2**64 - 1),
    st.sampled_from([0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32]),
    st.booleans(),
    st.none(),
    st.floats(),
    st.binary(max_size=300),
    st.text(max_size=40),
)
keys = st.one_of(st.sampled_from("ubtf"), st.text(max_size=3), st.integers(0, 3))
nested = st.one_of(
    flat, st.lists(flat, max_size=2), st.dictionaries(st.text(max_size=2), flat, max_size=2)
)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "u": st.integers(0, 2**32 - 1),
        "b": st.binary(max_size=300),
        "t": st.text(max_size=40),
        "f": st.booleans(),
        "other": flat,
    },
)


@many
@given(value=st.one_of(fitting, st.dictionaries(keys, nested, max_size=6), nested))
def test_a_map_means_what_cbor2_says(parsers: Parsers, value: Any) -> None:
    data = cbor2.dumps(value)
    assert read_map(parsers, data) == expected(data)


@many
@given(value=fitting, data=st.data())
def test_a_damaged_map_is_refused_or_still_one(
    parsers: Parsers, value: Any, data: st.DataObject
) -> None:
    damaged = bytearray(cbor2.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(1, len(damaged))) :]
    check_random(parsers, bytes(damaged))


@many
@given(data=st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda b: b"\xa2" + b)))
def test_random_bytes_are_refused_or_a_map(parsers: Parsers, data: bytes) -> None:
    check_random(parsers, data)


def check_random(parsers: Parsers, data: bytes) -> None:
    found = read_map(parsers, data)
    try:
        said = expected(data)
    except cbor2.CBORDecodeError as error:
        # We do not look at UTF-8 and at simple values that nobody asked for.
        assert found is None or "text string" in str(error) or 0xF8 in data
        return
    if found is not None:
        assert said is not None and found == said


def test_every_prefix_of_a_map_is_refused(parsers: Parsers) -> None:
    whole = cbor2.dumps({"u": 2**32 - 1, "b": bytes(300), "t": "text", "f": True, "x": 1.5})
    assert read_map(parsers, whole) is not None
    for length in range(len(whole)):
        assert read_map(parsers, whole[:length]) is None


@pytest.mark.parametrize(
    "value", [{"u": 2**32}, {"u": 2**64 - 1}, {"u": -1}, {"u": True}, {"f": 1}, {"f": None}]
)
def test_a_value_of_another_kind_is_refused(parsers: Parsers, value: dict[str, Any]) -> None:
    assert read_map(parsers, cbor2.dumps(value)) is None


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 300])
def test_the_writer_writes_what_cbor2_would_and_never_too_far(
    parsers: Parsers, length: int
) -> None:
    content = os.urandom(length)
    value = [
        length * 0x10001,
        -1 - length * 1000,
        length,
        length << 33,
        bool(length & 1),
        {"key": content},
        cbor2.CBORTag(24, content),
        content,
        "long",
        -(2**31),
    ]
    whole = cbor2.dumps(value)
    for capacity in range(256):
        answer = parsers(WRITE, content, capacity)
        assert answer == (whole if capacity >= len(whole) else b"")


def frames(answer: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(answer):
        (length,) = struct.unpack_from("<I", answer, at)
        found.append(answer[at + 4 : at + 4 + length])
        at += 4 + length
    return found


@many
@given(
    message=st.binary(min_size=1, max_size=260),
    line=st.sampled_from([8, 12, 40, 127]),
    capacity=st.integers(0, 255),
)
def test_a_frame_arrives_whole_if_it_fits(
    parsers: Parsers, message: bytes, line: int, capacity: int
) -> None:
    stream = b"noise\n" + b"".join(packet.encode(message, line_length=line))
    assert frames(parsers(FRAME, stream, capacity)) == (
        [message] if len(message) + 2 <= capacity else []
    )


@many
@given(
    parts=st.lists(
        st.one_of(
            st.sampled_from([b"\x06\x09", b"\x04\x14", b"\n", b"\r", b"=", b"AAAA", b"AAP/"]),
            st.binary(max_size=4),
            st.binary(max_size=30).map(b64encode),
            st.binary(min_size=1, max_size=60).map(lambda b: b"".join(packet.encode(b))),
        ),
        max_size=12,
    ),
    capacity=st.integers(0, 64),
)
def test_no_stream_leaves_the_frame_buffer(
    parsers: Parsers, parts: list[bytes], capacity: int
) -> None:
    for message in frames(parsers(FRAME, b"".join(parts), capacity)):
        assert len(message) + 2 <= capacity


@pytest.mark.parametrize("more", [1, 3, 90, 2000])
def test_data_behind_the_announced_length_drops_the_frame(parsers: Parsers, more: int) -> None:
    message = bytes(range(60))
    announced = struct.pack(">H", len(message) + 2) + message
    crc = packet.crc16_func(message).to_bytes(2, "big")
    line = b"\x06\x09" + b64encode(announced + crc + bytes(more)) + b"\n"
    assert parsers(FRAME, line, len(message) + 2) == b""


@many
@given(message=st.binary(max_size=700))
def test_what_is_sent_is_what_smp_decodes(parsers: Parsers, message: bytes) -> None:
    lines = parsers(SEND, message).splitlines(keepends=True)
    assert all(len(line) <= 127 for line in lines)
    decoder = packet.decode()
    next(decoder)
    for line in lines[:-1]:
        decoder.send(line)
    with pytest.raises(StopIteration) as end:
        decoder.send(lines[-1])
    assert end.value.value == message


def test_the_digest_of_a_good_image_is_found(parsers: Parsers) -> None:
    digest = parsers(SLOT, IMAGE)
    assert len(digest) == 32 and digest in IMAGE
    assert parsers(SLOT, IMAGE + b"\xff" * 100) == digest


def test_an_image_cut_short_has_no_digest_or_the_right_one(parsers: Parsers) -> None:
    digest = parsers(SLOT, IMAGE)
    for length in range(32, len(IMAGE)):
        assert parsers(SLOT, IMAGE[:length]) == b""
    assert digest


def test_a_digest_that_leaves_its_tlv_area_is_none(parsers: Parsers) -> None:
    digest = parsers(SLOT, IMAGE)
    start = IMAGE.rindex(digest)
    area = start - 8  # the area's header, then the TLV's own
    for size in range(8, 40):
        cut = bytearray(IMAGE[: area + size])
        cut[area + 2 : area + 4] = struct.pack("<H", size)
        assert parsers(SLOT, bytes(cut)) == b""


@many
@given(
    edits=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 31), st.integers(0x200, len(IMAGE) - 1)), st.integers(0, 255)
        ),
        min_size=1,
        max_size=6,
    ),
    length=st.integers(32, len(IMAGE)),
)
def test_no_image_leads_out_of_its_slot(
    parsers: Parsers, edits: list[tuple[int, int]], length: int
) -> None:
    image = bytearray(IMAGE)
    for offset, value in edits:
        image[offset] = value
    for size in (length, len(IMAGE)):
        digest = parsers(SLOT, bytes(image[:size]))
        assert len(digest) in (0, 32) and digest in image
