# SPDX-License-Identifier: Apache-2.0
"""What boot does first on a Pico 2's RP2350, and its watchdog and random numbers (host build).

No emulator has the part: this shows that the C does what our reading of the data sheet asks.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

import boards
from boards.config_header import config_header
from tests.boards.simulated_rp2350 import (
    ACCESSCTRL,
    PLL_SYS,
    PSM,
    SAU_CTRL,
    TICKS,
    TRNG,
    UART0,
    WATCHDOG,
    SimulatedRp2350,
)
from tests.store.host_library import ROOT, compile_host

SIMULATED = Path(__file__).parent / "simulated_rp2350"
FAMILIES = ROOT / "boards" / "families"
BOARD = boards.load("rpi-pico2")
FLASH = BOARD.flash
NON_SECURE, UNPRIVILEGED, DMA, CORE1 = 1 << 1, 1 << 0, 1 << 6, 1 << 5
SHARED = {"TIMER0": 0x98, "UART0": 0xA0, "UART1": 0xA4}
# What would undo the separation (section 10.6.2): a way round the SAU, or past it by a reset.
DANGEROUS = {
    "DMA": 0x44,
    "USBCTRL": 0x48,
    "RESETS": 0x64,
    "OTP": 0xA8,
    "POWMAN": 0xB0,
    "CLOCKS": 0xC0,
    "WATCHDOG": 0xD8,
    "PSM": 0xDC,
    "XIP_CTRL": 0xE0,
    "XIP_QMI": 0xE4,
    "XIP_AUX": 0xE8,
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("rp2350")
    (folder / "board_config.h").write_text(config_header(BOARD))
    names = ("board.c", "boot_security.c", "boot_watchdog.c", "boot_random.c")
    sources = [*(FAMILIES / "rp2350" / name for name in names), SIMULATED / "bus.c"]
    flags = ["-O1", "-shared", "-fPIC", "-include", str(SIMULATED / "access.h")]
    for include in (SIMULATED, FAMILIES / "rp2350", ROOT / "boards" / "cores" / "armv8m"):
        flags += ["-I", str(include)]
    found = ctypes.CDLL(str(compile_host(sources, folder, folder / "rp2350.so", flags)))
    found.board_watchdog_start.restype = ctypes.c_bool
    found.board_entropy.restype = ctypes.c_size_t
    return found


@pytest.fixture
def part(library: ctypes.CDLL) -> SimulatedRp2350:
    return SimulatedRp2350(library)


@pytest.fixture
def separated(part: SimulatedRp2350) -> SimulatedRp2350:
    part.library.board_separate_worlds()
    return part


def test_only_what_is_named_becomes_non_secure(separated: SimulatedRp2350) -> None:
    assert separated.registers[SAU_CTRL] == 1  # on, and what no region names is Secure
    opened = sorted((r.base, r.end) for r in separated.sau.values() if not r.kind & 2)
    ram, slots = BOARD.memory.ram, (BOARD.slot(0), BOARD.slot(1))
    assert opened == sorted((place.base, place.end) for place in (ram, *slots))
    (callable_,) = (r for r in separated.sau.values() if r.kind & 2)
    assert (callable_.base, callable_.end) == (0x1000_0120, 0x1000_0180)


def test_keys_records_and_the_flashs_other_addresses_stay_secure(
    separated: SimulatedRp2350,
) -> None:
    assert BOARD.memory.secure_state is not None
    closed = [FLASH.region(FLASH.store), FLASH.region(FLASH.secrets)]
    closed += [BOARD.memory.boot_ram, BOARD.memory.secure_state]
    places = [(place.base, place.size) for place in closed]
    places += [(0x1040_0000, 0xFC0_0000)]  # section 4.4: without cache, untranslated, maintenance
    places += [(0x2008_0000, 0x2000)]  # SRAM8 and 9
    open_ = [region for region in separated.sau.values() if not region.kind & 2]
    for base, size in places:
        assert not any(region.meets(base, size) for region in open_), hex(base)


def test_the_image_reaches_three_devices_as_the_monitor_alone(separated: SimulatedRp2350) -> None:
    for name, offset in SHARED.items():
        who = separated.access(offset)
        assert who & NON_SECURE, name
        assert not who & (UNPRIVILEGED | DMA | CORE1), name
    for offset in range(0x44, 0xEC, 4):
        if offset not in SHARED.values():
            assert not separated.access(offset) & (NON_SECURE | UNPRIVILEGED), hex(offset)
    assert not any(separated.access(offset) & 3 for offset in DANGEROUS.values())


def test_access_control_is_locked_with_no_pin_and_no_second_processor_open(
    separated: SimulatedRp2350,
) -> None:
    assert separated.refused == []
    assert separated.registers[ACCESSCTRL] == 0xF
    assert separated.registers[ACCESSCTRL + 0x04] == 2  # FORCE_CORE_NS
    assert separated.registers[ACCESSCTRL + 0x0C] == separated.registers[ACCESSCTRL + 0x10] == 0


def test_clock_is_the_boards_and_time_counts_microseconds(separated: SimulatedRp2350) -> None:
    dividers = separated.registers[PLL_SYS + 0x0C]
    hertz = 12_000_000 * separated.registers[PLL_SYS + 0x08]
    assert hertz // ((dividers >> 16 & 7) * (dividers >> 12 & 7)) == BOARD.clock_hz
    assert 750_000_000 <= hertz <= 1_600_000_000  # section 8.6: of the VCO
    for generator in (0x18, 0x30):  # TIMER0, WATCHDOG
        assert separated.registers[TICKS + generator] & 1
        assert separated.registers[TICKS + generator + 4] == 12


def test_port_has_its_rate(separated: SimulatedRp2350) -> None:
    separated.library.board_init()
    registers = separated.registers
    divider = registers[UART0 + 0x24] + registers[UART0 + 0x28] / 64
    rate = BOARD.clock_hz / 16 / divider
    assert abs(rate / BOARD.management.baud - 1) < 0.001
    assert registers[UART0 + 0x38] == 0, "boot asks, it takes no interrupt"


def test_further_map_of_the_secure_world_meets_no_other_region(part: SimulatedRp2350) -> None:
    part.library.board_map_secure(5)
    assert sorted(part.mpu) == [5, 6]
    taken = [(FLASH.base, FLASH.size), (0x2000_0000, 0x8_2000), (0x4000_0000, 0x2000_0000)]
    for region in part.mpu.values():
        assert not any(region.meets(base, size) for base, size in taken)
    rom, maintenance = part.mpu[5], part.mpu[6]
    assert (rom.base, rom.end, rom.rights) == (0, 0x8000, 4)  # privileged, read only, executed
    assert maintenance.rights & 1  # never executed


def test_watchdog_resets_access_control_too_and_is_fed(part: SimulatedRp2350) -> None:
    assert not part.library.board_watchdog_start(0)
    assert not part.library.board_watchdog_start(16_778)  # more than 24 bits of microseconds
    assert WATCHDOG not in part.registers
    assert part.library.board_watchdog_start(8000)
    assert part.registers[WATCHDOG + 4] == 8_000_000
    assert part.registers[WATCHDOG] == 1 << 30
    assert part.registers[PSM + 8] & 1 << 22, "ACCESSCTRL"
    assert not part.registers[PSM + 8] & 0b1100, "the oscillators run on"
    part.registers[WATCHDOG + 4] = 1
    part.library.board_watchdog_feed()
    assert part.registers[WATCHDOG + 4] == 8_000_000


def entropy(part: SimulatedRp2350, length: int) -> bytes:
    data = ctypes.create_string_buffer(length)
    given = part.library.board_entropy(data, length)
    return data.raw[:given]


def test_random_bytes_are_those_of_the_block(part: SimulatedRp2350) -> None:
    words = [0x0403_0201, 0x0807_0605, 0x0C0B_0A09, 0x100F_0E0D, 0x1413_1211, 0x1817_1615]
    for index, word in enumerate(words):
        part.registers[TRNG + 0x114 + 4 * index] = word
    part.random.extend([2, 1, 1])  # the auto-correlation test refuses the first
    assert entropy(part, 26) == bytes((*range(1, 25), 1, 2))
    assert part.registers[TRNG + 0x12C] == 0, "the source is off again"


@pytest.mark.parametrize("said", [[2, 4, 8, 2], []], ids=["refused", "silent"])
def test_a_broken_generator_gives_nothing(part: SimulatedRp2350, said: list[int]) -> None:
    part.random.extend(said)
    assert entropy(part, 32) == b""
