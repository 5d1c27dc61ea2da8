# SPDX-License-Identifier: Apache-2.0
"""Recovery and manager on the host: the firmware's C over a simulated board, driven by its port.

Simulated: the flash (memory), the port (a socket), the monitor's calls and boot's services. The SMP
server, CBOR, record store, recovery and manager are the sources that run on the board.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from smp import packet

import boards
from boards.config_header import config_header
from boards.model import Board
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.writer import ImageContent, wrap_image
from firmware.planning.monitor_features import EVERYTHING, HEADER, constants, image_config
from tests.store.host_library import RUNTIME, load_library
from tests.store.store_model import records_in

HERE = Path(__file__).parent
RECOVERY = "recovery"
MANAGER_A = "manager in slot A"
MANAGER_B = "manager in slot B"
KINDS = (RECOVERY, MANAGER_A, MANAGER_B)
RESET, CLOSED = 1, 2
V1, V2 = 0, 1
READ, WRITE = 0, 2
# Where the host maps flash and boot. It cannot map page 0, where boot is on the board; and the heap
# of a Python that is not position independent lies anywhere in the first GiB, and grows.
FLASH_ON_HOST, BOOT_ON_HOST = 0x7000_0000, 0x7200_0000

INIT = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
UPDATE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
FINISH = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
CHECK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p)


class Services(ctypes.Structure):
    _fields_ = (
        ("magic", ctypes.c_uint32),
        ("version", ctypes.c_uint32),
        ("sha256_init", INIT),
        ("sha256_update", UPDATE),
        ("sha256_finish", FINISH),
        ("p256_sign", ctypes.c_void_p),
        ("check_image", CHECK),
    )


class IdentityFacts(ctypes.Structure):
    _fields_ = (
        ("instance_id", ctypes.c_uint8 * 33),
        ("reserved", ctypes.c_uint8),
        ("lifecycle", ctypes.c_uint16),
        ("boot_digest", ctypes.c_uint8 * 32),
        ("implementation_id", ctypes.c_uint8 * 32),
        ("key", ctypes.c_uint8 * 64),
    )


def identity_facts() -> IdentityFacts:
    return IdentityFacts(
        (ctypes.c_uint8 * 33)(1, *range(32)),
        0,
        0x2000,
        (ctypes.c_uint8 * 32)(*range(100, 132)),
        (ctypes.c_uint8 * 32)(*b"coffret/test"),
        (ctypes.c_uint8 * 64)(*range(64)),
    )


def host_board() -> Board:
    """The virtual board, its flash and boot where the host can have them."""
    board = boards.load("mps2-an385")
    flash = board.flash.model_copy(update={"base": FLASH_ON_HOST})
    boot = board.memory.boot.model_copy(update={"base": BOOT_ON_HOST})
    memory = board.memory.model_copy(update={"boot": boot})
    return board.model_copy(update={"flash": flash, "memory": memory})


def write_config(kind: str, directory: Path) -> None:
    """Its `board_config.h`, and the slot that a manager runs from."""
    more = f"#define SIMULATED_SLOT {int(kind == MANAGER_B)}\n"
    more += "#define SMP_DELTA\n" * (kind != RECOVERY)
    (directory / "board_config.h").write_text(config_header(host_board()) + more)
    (directory / HEADER).write_text(image_config(constants(EVERYTHING)))


def sources_of(kind: str) -> list[Path]:
    """The C files of one kind of server."""
    folders = [RUNTIME / name for name in ("cbor", "smp", "store")]
    sources = [path for folder in folders for path in sorted(folder.glob("*.c"))]
    sources += [HERE / "simulated_hardware.c", HERE / "simulated_port.c"]
    if kind == RECOVERY:
        return [*sources, RUNTIME / "boot" / "recovery.c", HERE / "simulated_recovery.c"]
    services = sorted((RUNTIME / "services").glob("manager*.c"))
    return [*sources, *services, HERE / "simulated_manager.c"]


def build(kind: str, directory: Path) -> ctypes.CDLL:
    """The shared library of one kind of server."""
    write_config(kind, directory)
    return load_library(sources_of(kind), directory, directory / "server.so")


@dataclass(slots=True)
class SimulatedServices:
    """Boot's services: hashing by hashlib, and an image check that says what the test wants."""

    board: Board
    reasons: dict[int, int] = field(
        default_factory=dict
    )  # slot to reason; default: as the digest says
    checks: list[tuple[int, int]] = field(default_factory=list)  # slot, minimum counter
    hashes: dict[int, Any] = field(default_factory=dict)

    def structure(self) -> Services:
        return Services(
            0x56534643,
            1,
            INIT(self._init),
            UPDATE(self._update),
            FINISH(self._finish),
            None,
            CHECK(self._check),
        )

    def _init(self, context: int) -> None:
        self.hashes[context] = hashlib.sha256()

    def _update(self, context: int, data: int, length: int) -> None:
        self.hashes[context].update(ctypes.string_at(data, length))

    def _finish(self, context: int, digest: int) -> None:
        ctypes.memmove(digest, self.hashes.pop(context).digest(), 32)

    def _check(self, slot: int, limits: int, info: int) -> int:  # noqa: ARG002 - boot's signature
        minimum = ctypes.c_uint32.from_address(limits).value  # the first of struct image_limits
        self.checks.append((slot, minimum))
        if slot in self.reasons:
            return self.reasons[slot]
        base = self.board.slot(slot).base
        magic, _, header, protected, size = struct.unpack("<IIHHI", ctypes.string_at(base, 16))
        if magic != 0x96F3B83D:
            return 1
        hashed = header + size + protected
        content = ctypes.string_at(base, hashed + 8 + 32)
        return 0 if hashlib.sha256(content[:hashed]).digest() == content[hashed + 8 :] else 8


@dataclass(slots=True)
class Reply:
    version: int
    operation: int
    group: int
    sequence: int
    command: int
    body: Any


@dataclass(slots=True)
class SimulatedBoard:
    """A running server; `link` is the host's end of its port."""

    kind: str
    library: ctypes.CDLL
    board: Board
    services: SimulatedServices
    link: socket.socket
    thread: threading.Thread
    ended: list[int]
    sequence: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(256)))
    lines: list[bytes] = field(default_factory=list)

    @property
    def target(self) -> int:
        """A slot that may be written."""
        return 0 if self.kind == MANAGER_B else 1

    @property
    def running(self) -> int | None:
        return None if self.kind == RECOVERY else 1 - self.target

    def flash(self, offset: int, length: int) -> bytes:
        return ctypes.string_at(self.board.flash.base + offset, length)

    def slot_bytes(self, slot: int, length: int) -> bytes:
        return ctypes.string_at(self.board.slot(slot).base, length)

    def put_slot(self, slot: int, content: bytes) -> None:
        ctypes.memmove(self.board.slot(slot).base, content, len(content))

    def records(self) -> dict[int, bytes]:
        flash = self.board.flash
        size = flash.store.bank_size
        area = self.flash(flash.store.offset, 2 * size)
        return records_in(area, 0, size, 4)

    def send(self, data: bytes) -> None:
        self.link.sendall(data)

    def frame(
        self, operation: int, group: int, command: int, payload: bytes, version: int = V2
    ) -> bytes:
        head = struct.pack(
            "!BBHHBB",
            version << 3 | operation,
            0,
            len(payload),
            group,
            next(self.sequence),
            command,
        )
        return head + payload

    def receive(self) -> Reply:
        """The next reply; checks the framing's limits on the way."""
        decoder = packet.decode()
        next(decoder)
        while True:
            line = self._line()
            assert len(line) <= 127 and line.endswith(b"\n")
            try:
                decoder.send(line)
            except StopIteration as end:
                return self._parse(end.value)

    def _line(self) -> bytes:
        while not self.lines:
            data = self.link.recv(65536)
            assert data, "the board has gone"
            self.lines = (self.rest + data).splitlines(keepends=True)
            self.rest = b""
            if not self.lines[-1].endswith(b"\n"):
                self.rest = self.lines.pop()
        return self.lines.pop(0)

    rest: bytes = b""

    def _parse(self, frame: bytes) -> Reply:
        assert len(frame) <= 2044, "more than the host's buffer"
        op, flags, length, group, sequence, command = struct.unpack("!BBHHBB", frame[:8])
        assert flags == 0 and length == len(frame) - 8
        return Reply(op >> 3, op & 7, group, sequence, command, cbor2.loads(frame[8:]))

    def ask(
        self, operation: int, group: int, command: int, body: Any = None, version: int = V2
    ) -> Any:
        """One request and the reply's map."""
        frame = self.frame(operation, group, command, cbor2.dumps(body or {}), version)
        self.send(b"".join(packet.encode(frame)))
        reply = self.receive()
        assert (reply.operation, reply.group, reply.command) == (operation + 1, group, command)
        assert reply.sequence == frame[6] and reply.version == version
        return reply.body

    def upload(self, image: bytes, chunk: int = 1000, **first: Any) -> Any:
        """Uploads; the last reply."""
        offset, reply = 0, None
        while offset < len(image):
            body: dict[str, Any] = {"off": offset, "data": image[offset : offset + chunk]}
            if offset == 0:
                body |= {
                    "len": len(image),
                    "sha": hashlib.sha256(image).digest(),
                    "image": 0,
                } | first
            reply = self.ask(WRITE, 1, 1, body)
            if "off" not in reply:
                return reply
            offset = reply["off"]
        return reply

    def wait_end(self) -> int:
        self.thread.join(5)
        assert not self.thread.is_alive()
        return self.ended[0]


@contextmanager
def running_board(kind: str, library: ctypes.CDLL, fresh: bool = True) -> Iterator[SimulatedBoard]:
    """Starts a server; with `fresh` on erased flash."""
    if fresh:
        assert library.simulated_map() == 0
    board = host_board()
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    services = SimulatedServices(board)
    structure, facts, ended = services.structure(), identity_facts(), list[int]()

    def run() -> None:
        ended.append(
            library.simulated_run(theirs.fileno(), ctypes.byref(structure), ctypes.byref(facts))
        )

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield SimulatedBoard(kind, library, board, services, ours, thread, ended)
    finally:
        ours.close()
        thread.join(5)
        theirs.close()
        assert not thread.is_alive(), "the server hangs"


KEY = ec.derive_private_key(0x1234567, ec.SECP256R1())


VERSION = Version(1, 2, 3)


def make_image(slot: int, body: bytes = b"code" * 300, version: Version = VERSION) -> bytes:
    """A signed image for a slot of the virtual board."""
    content = ImageContent(version, 5, bytes(32), bytes(32))
    return wrap_image(body, slot, host_board(), content, LocalSigner(KEY))


def patched(image: bytes, offset: int, data: bytes) -> bytes:
    """`image` with some bytes replaced."""
    return image[:offset] + data + image[offset + len(data) :]
