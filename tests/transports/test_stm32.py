# SPDX-License-Identifier: Apache-2.0
"""AN3155 over a bad line and DfuSe over a cut cable: what was asked for is in the flash, or a
clear error says why not, and the next try succeeds."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.uf2 import Segment
from flasher.errors import GoneError, LockedError, NoAnswerError, NotServedError, VerifyError
from flasher.transports.an3155 import An3155
from flasher.transports.dfu import Dfu, memory_map
from flasher.transports.interface import program
from flasher.transports.usb_link import Bus as UsbBus
from tests.transports.simulated_stm32 import (
    BASE,
    Faults,
    NorFlash,
    SimulatedStm32Dfu,
    SimulatedStm32Uart,
)
from tests.transports.usb_bus import Bus

BOOT = Segment(BASE, random.Random(1).randbytes(6_001))
SLOT = Segment(BASE + 0x1_0000, random.Random(2).randbytes(9_000))
PLACE = "1-1.1"


def _flash_uart(port: str, answer_s: float = 0.3) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    with An3155(port, answer_s=answer_s) as transport:
        program(transport, [BOOT, SLOT], lambda _: None, lambda *now: told.append(now))
    return told


def _flash_dfu(bus: Bus) -> None:
    with Dfu(UsbBus(bus).open(PLACE)) as transport:
        program(transport, [BOOT, SLOT], lambda _: None, lambda _d, _t: None)


def _holds_all(flash: NorFlash) -> bool:
    return all(flash.data[s.address - BASE :][: len(s.data)] == s.data for s in (BOOT, SLOT))


def test_an3155_erases_writes_reads_back_and_starts() -> None:
    with SimulatedStm32Uart() as rom:
        told = _flash_uart(rom.port)
    assert _holds_all(rom.flash)
    assert rom.started_at == BASE
    assert told[-1] == (15_001, 15_001)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(nack=0.05, random=random.Random(3)),
        Faults(noise=0.0005, random=random.Random(4)),
        Faults(lost=0.0005, random=random.Random(5)),
        Faults(noise=0.0003, lost=0.0003, nack=0.02, random=random.Random(6)),
    ],
    ids=["NACKs", "noise", "lost bytes", "all of it"],
)
def test_an3155_gets_through_a_bad_line(faults: Faults) -> None:
    with SimulatedStm32Uart(faults) as rom:
        _flash_uart(rom.port, answer_s=0.1)
        assert _holds_all(rom.flash)


@pytest.mark.parametrize("after", [0, 3, 40, 4_000])
def test_a_rom_that_hangs_is_an_environment_error(after: int) -> None:
    with SimulatedStm32Uart(Faults(hang_after=after)) as rom:
        with pytest.raises(NoAnswerError) as silent:
            _flash_uart(rom.port, answer_s=0.05)
        assert silent.value.exit_code == 3
        assert silent.value.mend
        rom.faults.hang_after = None
    with rom:  # reset by hand
        _flash_uart(rom.port)
        assert _holds_all(rom.flash)


def _bytes_of_a_whole_transfer() -> int:
    with SimulatedStm32Uart() as rom:
        _flash_uart(rom.port)
        return rom.received


def test_an3155_cable_pulled_at_every_twentieth_of_the_transfer() -> None:
    total = _bytes_of_a_whole_transfer()
    for part in range(20):
        with SimulatedStm32Uart(Faults(pull_after=total * part // 20)) as rom:
            with pytest.raises(GoneError, match="went away during") as gone:
                _flash_uart(rom.port)
            assert gone.value.exit_code == 3
            assert "plug the board in again" in gone.value.mend
            rom.faults.pull_after = None
        with rom:
            _flash_uart(rom.port)
            assert _holds_all(rom.flash)


def test_a_protected_part_says_so_over_either_port() -> None:
    with (
        SimulatedStm32Uart(protected=True) as rom,
        pytest.raises(LockedError, match="locked") as locked,
    ):
        _flash_uart(rom.port, answer_s=0.1)
    assert locked.value.exit_code == 1
    with pytest.raises(LockedError, match="locked"):
        _flash_dfu(Bus(SimulatedStm32Dfu(protected=True)))


def test_an_address_outside_the_flash_is_refused_before_anything_is_erased() -> None:
    with SimulatedStm32Uart() as rom, An3155(rom.port) as transport:
        transport.enter_boot_loader()
        with pytest.raises(NotServedError, match="not in the flash"):
            transport.erase(0x1000_0000, 16)
        assert rom.flash.data == bytes(len(rom.flash.data))
    device = SimulatedStm32Dfu()
    with Dfu(UsbBus(Bus(device)).open(PLACE)) as dfu:
        dfu.enter_boot_loader()
        with pytest.raises(NotServedError, match="not in this board's flash"):
            dfu.erase(0x1000_0000, 16)
    assert device.flash.data == bytes(len(device.flash.data))


# A pseudo-terminal has no RTS and DTR to set.
_STM32LOADER = """
import serial, sys
serial.Serial.setRTS = serial.Serial.setDTR = lambda *_: None
from stm32loader.main import main
main(*sys.argv[1:])
"""


def test_stm32loader_understands_our_simulated_rom(tmp_path: Path) -> None:
    """Somebody else's client: what it writes is there, so the simulation is not only ours."""
    file = tmp_path / "boot.bin"
    file.write_bytes(BOOT.data)
    with SimulatedStm32Uart() as rom:
        words = ["-p", rom.port, "-P", "none", "-f", "F4", "-e", "-w", "-v", str(file)]
        command = [sys.executable, "-c", _STM32LOADER, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert rom.flash.data[: len(BOOT.data)] == BOOT.data


def test_dfu_erases_writes_reads_back_and_starts() -> None:
    device = SimulatedStm32Dfu()
    _flash_dfu(Bus(device))
    assert _holds_all(device.flash)
    assert device.started


def test_dfu_cable_pulled_at_every_twentieth_of_the_transfer() -> None:
    bus = Bus(SimulatedStm32Dfu())
    _flash_dfu(bus)
    total = bus.sockets[0].moved
    for part in range(20):
        device = SimulatedStm32Dfu()
        bus = Bus(device)
        bus.sockets[0].pull_after = total * part // 20
        with pytest.raises(GoneError, match="went away during") as gone:
            _flash_dfu(bus)
        assert gone.value.exit_code == 3
        bus.sockets[0].plug()
        _flash_dfu(bus)
        assert _holds_all(device.flash)


def test_a_bit_that_did_not_take_is_found_by_reading_back() -> None:
    device = SimulatedStm32Dfu()
    with Dfu(UsbBus(Bus(device)).open(PLACE)) as dfu:
        dfu.enter_boot_loader()
        dfu.erase(SLOT.address, len(SLOT.data))
        device.flash.data[0x1_0000 + 77] = 0x00 if SLOT.data[77] else 0xFE
        device.flash.program = lambda _address, _data: None  # type: ignore[method-assign]
        dfu.write([SLOT], lambda _d, _t: None)
        with pytest.raises(VerifyError, match="verification failed"):
            dfu.verify(SLOT)


@given(st.text(max_size=80))
def test_a_memory_map_is_read_or_refused(label: str) -> None:
    try:
        found = memory_map("@" + label)
    except ValueError:
        return
    assert all(area.size and area.count for area in found)


def test_st_memory_maps_are_read_as_um0424_says() -> None:
    areas = memory_map("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg")
    assert [(a.size, a.count) for a in areas] == [(16384, 4), (65536, 1), (131072, 7)]
    assert areas[-1].end == BASE + 1024 * 1024
    assert all(a.readable and a.erasable and a.writable for a in areas)
    (option,) = memory_map("@Option Bytes  /0x1FFFC000/01*016 e")
    assert (option.readable, option.erasable, option.writable) == (True, False, True)
