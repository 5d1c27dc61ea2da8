# SPDX-License-Identifier: Apache-2.0
"""The attester behind the real boot: its tokens are read by the verifier's own strict reader."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from attest import certificate, p256
from attest.evidence import Evidence, GateUse, Subject
from attest.psa_token import verify
from boards.memory import Region
from firmware.compiler.link import Layout, Statics
from firmware.compiler.toolchain import CompileJob
from firmware.image.format import Version
from firmware.image.reader import read_image
from firmware.image.signer import LocalSigner
from firmware.image.writer import ImageContent, wrap_image
from firmware.planning.memory import RuntimeSizes
from tests.boot.device import Kit, build_kit
from tests.monitor.rig import PROGRAM, Memory, link_program
from tests.qemu import Machine, needs_qemu

pytestmark = needs_qemu

SIZES = RuntimeSizes()
ATTESTER = 0x203F_E000
LAYOUT = Layout(
    monitor=Region(base=0x2000_0000, size=0x8000),
    main_stack=0x800,
    window=Region(base=0x2000_8000, size=0x400),
    statics=(
        Statics("manager", Region(base=0x2001_1000, size=0x1000)),
        Statics(
            "attester",
            Region(base=ATTESTER + SIZES.attester_stack, size=0x1C00 - SIZES.attester_stack),
        ),
    ),
)
ERR_SIZE = -3
ERR_NOT_FOUND = -8
NO_GRANTS = ((0x15, 0), (0x16, 0))  # RBAR with VALID and its number, disabled


@dataclass(frozen=True, slots=True)
class Board:
    """A running board with the attester, and what was put into its image."""

    machine: Machine
    memory: Memory
    image: bytes
    kit: Kit

    def ask(self, nonce: bytes, subject: int = 0) -> tuple[int, bytes]:
        """(result of the call, reply)."""
        self.machine.send(bytes([len(nonce), subject]) + nonce)
        (result,) = struct.unpack("<i", self.machine.read_exactly(4))
        return result, self.machine.read_exactly(result, 90) if result > 0 else b""

    def evidence(self, nonce: bytes, subject: int = 0) -> tuple[bytes, bytes]:
        """(token, certificate)."""
        _, reply = self.ask(nonce, subject)
        token, document = struct.unpack_from("<HH", reply)
        assert len(reply) == 4 + token + document
        return reply[4 : 4 + token], reply[4 + token :]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    directory = tmp_path_factory.mktemp("attester")
    kit = build_kit(directory)
    stack = f"ATTESTER_STACK={SIZES.attester_stack}"
    tables = (CompileJob(PROGRAM / "asker.c", defines=(stack,)),)
    linked = link_program(directory, (), tables, LAYOUT)
    content = ImageContent(Version.parse("1.2.3"), 7, b"\x11" * 32, b"\x22" * 32)
    image = wrap_image(linked.body, 0, kit.board, content, LocalSigner(kit.key))
    flash = kit.flash(directory / "nv", image)
    memory = Memory(directory)
    with Machine(kit.board, kit.boot.elf, flash, memory.arguments) as machine:
        yield Board(machine, memory, image, kit)


def verified(
    board: Board, nonce: bytes, subject: int = 0
) -> tuple[Evidence, certificate.Certificate]:
    token, document = board.evidence(nonce, subject)
    found = certificate.read(document)
    return verify(token, found.alias_key), found


@pytest.mark.parametrize("length", [32, 48, 64])
def test_token_verifies_and_repeats_the_nonce(board: Board, length: int) -> None:
    nonce = bytes(range(length))
    evidence, _ = verified(board, nonce)
    assert evidence.nonce == nonce
    assert evidence.client_id == -1


def test_token_lists_what_runs(board: Board) -> None:
    evidence, document = verified(board, bytes(32))
    facts = read_image(board.image)
    assert [(c.type, c.value, c.version) for c in evidence.components] == [
        ("boot", board.kit.boot.digest, None),
        ("runtime", bytes([1, 2, 3]).ljust(32, b"\0"), "0.1.0"),
        ("appliance", facts.digest, "1.2.3"),
        ("policy", b"\x11" * 32, None),
        ("enclave:sensor", bytes([4]).ljust(32, b"\0"), None),
        ("enclave:coach", bytes([5]).ljust(32, b"\0"), None),
        ("radio", bytes([6]).ljust(32, b"\0"), None),
    ]
    assert {c.signer_id for c in evidence.components} == {p256.key_hash(board.kit.key.public_key())}
    assert document.image_digest == facts.digest
    assert evidence.implementation_id.rstrip(b"\0") == b"coffret/mps2-an385/flash"
    assert evidence.boot_seed != bytes(32)


def test_token_says_how_the_system_is(board: Board) -> None:
    evidence, _ = verified(board, bytes(32))
    assert evidence.boot_count == 1
    assert evidence.health.counts == ((0, 0), (1, 0))  # the coach ended with a fault
    assert evidence.subject is None
    assert evidence.settings == hashlib.sha256(b"").digest()  # none were given
    later, _ = verified(board, bytes(32))
    assert later.uptime >= evidence.uptime
    assert later.health.log_digest == evidence.health.log_digest


def test_a_report_on_one_enclave_has_its_labels_and_gates(board: Board) -> None:
    evidence, _ = verified(board, bytes(48), subject=2)
    assert evidence.nonce == bytes(48)
    # Its gate leaves some of its data labelled: how often it is used is nobody's business.
    assert evidence.subject == Subject("enclave:coach", 5 | 1 << 32, 2, NO_GRANTS, ())
    sensor = verified(board, bytes(32), subject=1)[0].subject
    assert sensor == Subject("enclave:sensor", 0, 0, NO_GRANTS, (GateUse(0, 0, 0),))


def test_there_is_no_report_on_what_is_no_enclave(board: Board) -> None:
    for subject in (3, 4, 255):
        assert board.ask(bytes(32), subject) == (ERR_NOT_FOUND, b"")


@pytest.mark.parametrize("length", [1, 31, 33, 63])
def test_nonce_of_another_length_gets_no_evidence(board: Board, length: int) -> None:
    assert board.ask(bytes(length)) == (ERR_SIZE, b"")


def test_attester_stays_within_its_stack(board: Board) -> None:
    for number in range(3):
        board.evidence(bytes([number]) * 64, number)
    board.machine.send(b"\0")
    assert board.machine.read_exactly(4) == bytes(4)  # no fault
    stack = board.memory.read(ATTESTER, SIZES.attester_stack)
    untouched = len(stack) - len(stack.lstrip(b"\0"))
    assert untouched >= 128, f"{untouched} bytes of the attester's stack were never used"
