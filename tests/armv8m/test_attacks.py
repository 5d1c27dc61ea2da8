# SPDX-License-Identifier: Apache-2.0
"""What a Non-secure side that was taken over cannot do: read secrets, sign, roll back, brick."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attest import dice, p256
from firmware.image.reader import read_image
from tests.armv8m.intruder import (
    BOARD,
    BUS,
    BUSY,
    COUNTER,
    DENIED,
    FAILED,
    KEY,
    MEMORY,
    POINTER,
    POLICY,
    STATE_AT,
    UDS,
    USAGE,
    Fault,
    Gateway,
    Intruder,
    Kit,
    attest_state,
    build_kit,
    secure_places,
)
from tests.boot.device import answers_in_recovery
from tests.qemu import Machine, needs_qemu

pytestmark = needs_qemu

FLASH, RAM = BOARD.flash, BOARD.memory.ram
STATE = BOARD.memory.secure_state
SECRETS = FLASH.base + FLASH.secrets.offset
SLOT_B = BOARD.slot(1)
PLACES = secure_places(BOARD)
# enum store_key.
BOOT_STATE, SECURITY_COUNTER, LIFECYCLE, ENDORSEMENT = 1, 2, 3, 4
BOOT_COUNT, CERTIFICATE, IMAGE_MAC, SETTINGS = 5, 6, 7, 16


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return build_kit(tmp_path_factory.mktemp("armv8m"))


@contextmanager
def board(kit: Kit, directory: Path) -> Iterator[Intruder]:
    # Time passes by instructions: how often the clock interrupts a gateway must not be the host's.
    counted = ("-icount", "shift=6,sleep=off")
    with Machine(BOARD, kit.boot.elf, kit.flash(directory / "nv"), counted) as machine:
        yield Intruder(machine)


@pytest.fixture(scope="module")
def intruder(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intruder]:
    with board(kit, tmp_path_factory.mktemp("flash")) as running:
        yield running


@pytest.fixture
def fresh(kit: Kit, tmp_path: Path) -> Iterator[Intruder]:
    """A board of its own, for what cannot be undone."""
    with board(kit, tmp_path) as running:
        yield running


# ---- memory ----


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("letter", ["l", "s", "j"])
def test_secure_places_can_be_neither_read_nor_written_nor_run(
    intruder: Intruder, place: str, letter: str
) -> None:
    address = PLACES[place]
    # Behind the gateway's first instruction, which alone may be jumped to.
    numbers = {"l": (address,), "s": (address, 0xBAD), "j": (address + 5,)}[letter]
    found = intruder.order(letter, *numbers)
    assert isinstance(found, Fault), f"{place}: {found}"
    assert found.exception in ({"j": (USAGE, BUS, MEMORY)}.get(letter, (MEMORY, BUS)))
    if found.exception == MEMORY and letter != "j":
        assert found.passed_on
        assert found.address in (address, 0xFFFF_FFFF)  # QEMU 7.2 tells no address


def test_secure_worlds_registers_read_zero_and_keep_their_values(intruder: Intruder) -> None:
    sau_control = 0xE000_EDD0
    assert intruder.order("l", sau_control) == [0]
    assert intruder.order("s", sau_control, 0) == []
    assert isinstance(intruder.order("l", SECRETS), Fault)


@pytest.mark.parametrize("controller", range(4))
def test_dma_that_no_attribution_unit_binds_is_out_of_reach(
    intruder: Intruder, controller: int
) -> None:
    base = 0x4011_0000 + 0x1000 * controller
    # A PL081 says 0x81 there. Blocked, it is a bus fault or, in QEMU 7.2, reads zero.
    found = intruder.order("l", base + 0xFE0)
    assert found == [0] or (isinstance(found, Fault) and found.exception == BUS)
    assert intruder.order("l", BOARD.management.base + 0xFE0) == [0x21]  # as the port's does, open


def test_no_secret_lies_anywhere_it_can_read(intruder: Intruder, kit: Kit) -> None:
    private = kit.alias.private_numbers().private_value.to_bytes(32, "big")
    areas = [(RAM.base, RAM.end), (BOARD.slot(0).base, SLOT_B.end)]
    # The search finds what is there: the image's own digest, in the handoff.
    digest = read_image(kit.image).digest
    for secret, expected in (
        (digest, True),
        (UDS, False),
        (private, False),
        (private[::-1], False),
    ):
        intruder.put(secret)
        found = 0
        for base, end in areas:
            answer = intruder.order("f", 32, base, end)
            assert isinstance(answer, list)
            found += answer[0]
        assert (found > 0) is expected


def test_handoff_has_everything_but_the_key(intruder: Intruder, kit: Kit) -> None:
    handoff = intruder.read(BOARD.memory.handoff.base, 0x400)
    assert p256.xy(kit.alias.public_key()) in handoff
    identity_at = handoff.index(p256.xy(dice.key_pair(UDS).public_key())) - 100
    assert handoff[identity_at - 32 : identity_at] == bytes(32)  # struct handoff: alias_private


# ---- pointers ----

OUTSIDE = {
    "secrets": (SECRETS, 32),
    "the Secure state": (STATE.base if STATE else 0, 32),
    "boot": (BOARD.memory.boot.base, 32),
    "from RAM into what is behind it": (RAM.end - 16, 32),
    "from the slots into the store": (SLOT_B.end - 16, 32),
    "round the end of memory": (0xFFFF_FFF0, 32),
    "null": (0, 32),
    "RAM by its Secure address": (RAM.base + 0x1000_0000, 32),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_gateways_read_and_write_no_memory_for_a_caller_that_it_cannot_use_itself(
    intruder: Intruder, what: str
) -> None:
    address, size = OUTSIDE[what]
    own = intruder.put(bytes(128))
    assert intruder.gateway(Gateway.SHA256_INIT, own) == 0
    assert intruder.gateway(Gateway.SHA256_INIT, address) == POINTER
    assert intruder.gateway(Gateway.SHA256_UPDATE, own, address, size) == POINTER
    assert intruder.gateway(Gateway.SHA256_UPDATE, address, own, size) == POINTER
    assert intruder.gateway(Gateway.SHA256_FINISH, own, address) == POINTER
    assert intruder.gateway(Gateway.CHECK_IMAGE, 0, 0, address) == POINTER
    state = intruder.put(attest_state(), STATE_AT)
    assert intruder.gateway(Gateway.ATTEST, address, size, state) == POINTER
    assert intruder.gateway(Gateway.ATTEST, own, 32, address) == POINTER
    assert intruder.gateway(Gateway.ATTEST_READ, 0, address, 0) == 0  # nothing of nothing
    assert intruder.gateway(Gateway.STORE_GET, BOOT_COUNT, address, size) == POINTER
    assert intruder.gateway(Gateway.STORE_PUT, ENDORSEMENT, address, size) == POINTER
    offset = FLASH.slot_b.offset
    assert intruder.gateway(Gateway.FLASH_PROGRAM, offset, address, size) == POINTER


def test_reply_is_written_only_where_the_caller_could(intruder: Intruder, kit: Kit) -> None:
    intruder.evidence(bytes(32), kit)
    assert STATE is not None
    for address in (STATE.base, SECRETS, RAM.end - 16, 0x1000_0000):
        assert intruder.gateway(Gateway.ATTEST_READ, 0, address, 64) == POINTER
    length = intruder.gateway(Gateway.ATTEST, intruder.buffer, 32, intruder.buffer + STATE_AT)
    for offset, size in ((length, 1), (0, length + 1), (0xFFFF_FFFF, 2), (1, 0xFFFF_FFFF)):
        assert intruder.gateway(Gateway.ATTEST_READ, offset, intruder.buffer, size) == POINTER


def test_task_cannot_use_the_gateways_to_reach_past_its_own_map(intruder: Intruder) -> None:
    own = intruder.put(bytes(128))
    assert intruder.gateway_of_task(Gateway.SHA256_INIT, own) == 0
    assert intruder.gateway_of_task(Gateway.SHA256_UPDATE, own, own, 64) == 0
    for foreign in (RAM.base, BOARD.memory.handoff.base, SLOT_B.base, BOARD.management.base):
        assert intruder.gateway_of_task(Gateway.SHA256_UPDATE, own, foreign, 64) == POINTER
    assert intruder.gateway_of_task(Gateway.SHA256_INIT, BOARD.slot(0).base + 0x200) == POINTER


def test_hash_of_a_hostile_context_stays_in_it(intruder: Intruder) -> None:
    context = intruder.put(b"\xff" * 112)
    guard = intruder.read(context + 112, 64)
    assert intruder.gateway(Gateway.SHA256_UPDATE, context, context, 1000) == 0
    assert intruder.gateway(Gateway.SHA256_FINISH, context, context) == 0
    assert intruder.read(context + 112, 64) == guard
    # And the Secure world still hashes.
    data = intruder.put(b"abc", 0x200)
    assert intruder.gateway(Gateway.SHA256_INIT, context) == 0
    assert intruder.gateway(Gateway.SHA256_UPDATE, context, data, 3) == 0
    assert intruder.gateway(Gateway.SHA256_FINISH, context, data) == 0
    assert intruder.read(data, 32) == hashlib.sha256(b"abc").digest()


# ---- who may call ----


@pytest.mark.parametrize("gateway", list(Gateway)[1:])
def test_task_without_the_monitors_grant_is_refused(intruder: Intruder, gateway: Gateway) -> None:
    own = intruder.put(bytes(128))
    assert intruder.gateway_of_task(gateway, own, own, 32, granted=False) == DENIED


@pytest.mark.parametrize(
    "gateway",
    [Gateway.FLASH_ERASE, Gateway.FLASH_PROGRAM, Gateway.STORE_GET, Gateway.STORE_PUT],
)
def test_flash_and_records_are_not_for_tasks(intruder: Intruder, gateway: Gateway) -> None:
    assert intruder.gateway_of_task(gateway, FLASH.slot_b.offset, 0x1000, 0x1000) == DENIED


def test_gateways_leave_nothing_in_the_registers(intruder: Intruder) -> None:
    found = intruder.order(
        "g", Gateway.ATTEST, intruder.put(bytes(32)), 32, intruder.put(attest_state(), STATE_AT)
    )
    assert isinstance(found, list)
    # The compiler fills the ones a function may change with the return address: the caller's own.
    (rest,) = set(found[1:])
    assert BOARD.slot(0).base <= rest < BOARD.slot(0).end


# ---- signatures ----


def test_token_says_what_boot_measured(intruder: Intruder, kit: Kit) -> None:
    nonce = bytes(range(64))
    evidence, _ = intruder.evidence(nonce, kit)
    assert evidence.nonce == nonce
    assert [(c.type, c.value) for c in evidence.components] == [
        ("boot", kit.boot.digest),
        ("runtime", bytes([1, 2, 3]).ljust(32, b"\0")),
        ("appliance", read_image(kit.image).digest),
        ("policy", POLICY),
        ("enclave:sensor", bytes([4]).ljust(32, b"\0")),
    ]
    assert {c.signer_id for c in evidence.components} == {p256.key_hash(KEY.public_key())}
    assert evidence.client_id == -1
    assert evidence.implementation_id.rstrip(b"\0") == b"coffret/mps2-an505/secure-world"


def test_image_that_rewrites_its_measurements_still_gets_the_true_ones(
    fresh: Intruder, kit: Kit
) -> None:
    before, _ = fresh.evidence(bytes(32), kit)
    handoff = BOARD.memory.handoff.base
    # The texts that struct component points to, then the structures.
    for row in (0, 40):
        for text in struct.unpack("<2I", fresh.read(fresh.components + row, 8)):
            assert fresh.order("s", text & ~3, 0x41414141) == []
    for address in range(fresh.components, fresh.components + 80, 4):
        assert fresh.order("s", address, 0x41414141) == []
    for address in range(handoff, handoff + 0x400, 4):
        assert fresh.order("s", address, 0x42424242) == []
    assert b"AAAA" in fresh.read(fresh.components, 80)
    after, _ = fresh.evidence(bytes(32), kit)
    assert after == before
    # It is not the signed image any more, so it has run for the last time.
    fresh.machine.send(b"r\n")
    assert answers_in_recovery(fresh.machine)


@pytest.mark.parametrize("length", [0, 31, 33, 47, 63, 65, 128, 0x1000_0000])
def test_only_a_nonce_is_signed(intruder: Intruder, length: int) -> None:
    state = intruder.put(attest_state(), STATE_AT)
    assert intruder.gateway(Gateway.ATTEST, intruder.put(bytes(32)), length, state) == POINTER


@pytest.mark.parametrize(
    "state",
    [
        attest_state(enclaves=0),
        attest_state(enclaves=17),
        attest_state(enclaves=0xFFFF_FFFF),
        attest_state(subject=99),
        attest_state(subject=0xFFFF_FFFF),
        attest_state(subject=1, gates=17),
        attest_state(subject=1, gates=0xFFFF_FFFF),
    ],
)
def test_counts_beyond_their_tables_are_not_signed(intruder: Intruder, state: bytes) -> None:
    at = intruder.put(state, STATE_AT)
    assert intruder.gateway(Gateway.ATTEST, intruder.put(bytes(32)), 32, at) == FAILED
    intruder.put(attest_state(), STATE_AT)


def test_jump_to_a_secure_return_finds_no_frame(intruder: Intruder) -> None:
    """FNC_RETURN without a Secure function that called us: the stack is sealed."""
    found = intruder.order("j", 0xFEFF_FFFF)
    assert isinstance(found, Fault)
    assert found.exception == USAGE


def test_interrupted_gateway_shows_nothing_and_lets_nobody_else_in(
    intruder: Intruder, kit: Kit
) -> None:
    intruder.put(bytes(32))
    intruder.put(attest_state(), STATE_AT)
    found = intruder.order("t", 2_000)
    assert isinstance(found, list)
    ticks, in_secure, dirty, nested, length = found
    assert in_secure > 10
    assert ticks >= in_secure
    assert dirty == 0
    assert nested - (1 << 32) == BUSY
    assert length > 1000
    intruder.evidence(bytes(48), kit)


@pytest.mark.parametrize("target", [0xFEFF_FFFF, 0xFEFF_FFFE, 0xFFFF_FFFD, 0x1000_0124])
def test_hostile_task_cannot_enter_behind_an_interrupted_gateway(
    intruder: Intruder, kit: Kit, target: int
) -> None:
    """Another task jumps to where a Secure function would return, while one is suspended."""
    intruder.put(bytes(32))
    intruder.put(attest_state(), STATE_AT)
    found = intruder.order("i", target)
    assert isinstance(found, list)
    exception, length = found
    assert exception in (MEMORY, BUS, USAGE)
    assert length > 1000
    intruder.evidence(bytes(64), kit)


# ---- flash and records ----


@pytest.mark.parametrize(
    "offset",
    [
        FLASH.slot_a.offset,
        FLASH.slot_a.offset + FLASH.slot_a.size - 0x1000,
        FLASH.store.offset,
        FLASH.secrets.offset,
        FLASH.size,
        FLASH.slot_b.offset + FLASH.slot_b.size,
        0xFFFF_F000,
    ],
)
def test_only_the_slot_that_does_not_run_is_written(intruder: Intruder, offset: int) -> None:
    assert intruder.gateway(Gateway.FLASH_ERASE, offset, 0x1000) == DENIED
    assert intruder.gateway(Gateway.FLASH_PROGRAM, offset, intruder.buffer, 4) == DENIED


def test_no_length_reaches_past_the_slot(intruder: Intruder) -> None:
    start, size = FLASH.slot_b.offset, FLASH.slot_b.size
    for offset, length in (
        (start, size + 0x1000),
        (start + 0x1000, size),
        (start, 0xFFFF_F000),
        (start + size - 0x1000, 0x2000),
        (start - 0x1000, 0x2000),
    ):
        assert intruder.gateway(Gateway.FLASH_ERASE, offset, length) == DENIED
    assert intruder.gateway(Gateway.FLASH_ERASE, start + size - 0x1000, 0x1000) == 0


@pytest.mark.parametrize("counter", [0, COUNTER - 1, COUNTER + 1, 0xFFFF_FFFF])
def test_counter_can_be_neither_lowered_nor_used_up(intruder: Intruder, counter: int) -> None:
    value = intruder.put(counter.to_bytes(4, "little"))
    assert intruder.gateway(Gateway.STORE_PUT, SECURITY_COUNTER, value, 4) == DENIED
    assert intruder.gateway(Gateway.STORE_GET, SECURITY_COUNTER, value, 4) == 4
    assert intruder.read(value, 4) == COUNTER.to_bytes(4, "little")


@pytest.mark.parametrize("key", [0, BOOT_COUNT, CERTIFICATE, IMAGE_MAC, 9, 15, 32, 255, 256 + 16])
def test_boots_own_records_cannot_be_written(intruder: Intruder, key: int) -> None:
    assert intruder.gateway(Gateway.STORE_PUT, key, intruder.buffer, 32) == DENIED


def test_records_can_be_filled_but_boots_own_still_fit(fresh: Intruder) -> None:
    """Else the board could never be updated again."""
    at = fresh.put(bytes(range(256)) * 4)
    assert fresh.gateway(Gateway.STORE_PUT, SETTINGS, at, 129) == DENIED
    assert fresh.gateway(Gateway.STORE_PUT, ENDORSEMENT, at, 1025) == DENIED
    assert fresh.gateway(Gateway.STORE_PUT, ENDORSEMENT, at, 1024) == 0
    for turn in range(3):
        for setting in range(16):
            length = 128 - turn
            assert fresh.gateway(Gateway.STORE_PUT, SETTINGS + setting, at, length) == 0
    state = fresh.put(bytes([0, 1, 0, 0]))  # slot A active, B pending
    assert fresh.gateway(Gateway.STORE_PUT, BOOT_STATE, state, 4) == 0
    fresh.machine.send(b"r\n")
    fresh.ready()
    counted = fresh.buffer
    assert fresh.gateway(Gateway.STORE_GET, BOOT_COUNT, counted, 4) == 4
    assert fresh.read(counted, 4) == (2).to_bytes(4, "little")
    assert fresh.gateway(Gateway.STORE_GET, BOOT_STATE, counted, 4) == 4
    # Boot wrote what became of it: the slot is empty, so nothing is pending.
    assert fresh.read(counted, 4)[:2] == bytes([0, 0xFF])


@pytest.mark.parametrize("key", [0, IMAGE_MAC, 10, 32, 256 + ENDORSEMENT])
def test_boots_macs_cannot_be_read(intruder: Intruder, key: int) -> None:
    assert intruder.gateway(Gateway.STORE_GET, key, intruder.buffer, 64) == DENIED


def test_lifecycle_goes_one_way(intruder: Intruder) -> None:
    for value in (0x2000, 0x3001, 0x4000, 0x6000, 0):
        at = intruder.put(value.to_bytes(2, "little"))
        assert intruder.gateway(Gateway.STORE_PUT, LIFECYCLE, at, 2) == DENIED
    secured = intruder.put((0x3000).to_bytes(2, "little"))
    assert intruder.gateway(Gateway.STORE_PUT, LIFECYCLE, secured, 2) == 0
    assert intruder.gateway(Gateway.STORE_PUT, LIFECYCLE, secured, 2) == DENIED


# ---- making it stumble: each ends in a fresh start of the board, not in recovery ----


@pytest.mark.parametrize(
    ("letter", "number"),
    [
        ("e", 0xFFFF_FFFD),  # to the Secure world, thread mode
        ("e", 0xFFFF_FFF9),
        ("e", 0xFFFF_FFF1),  # handler mode
        ("e", 0xFFFF_FFBD),  # as if the exception had been Secure
        ("e", 0xFFFF_FFDC),  # Secure frame that does not exist
        ("e", 0xFFFF_FFFC),
    ],
)
def test_forged_exception_return_gives_no_secure_code_to_run(
    fresh: Intruder, letter: str, number: int
) -> None:
    fresh.machine.send(f"{letter} {number:08x}\n".encode())
    line = fresh.machine.line(120)
    if line.startswith("READY"):
        return  # started afresh
    assert line == "returned" or line.startswith("fault"), line
    assert isinstance(fresh.order("l", SECRETS), Fault)


def test_access_before_anybody_would_handle_it_restarts_the_board(fresh: Intruder) -> None:
    fresh.order("n")
    fresh.machine.send(f"l {SECRETS:08x}\n".encode())
    fresh.ready()
