# SPDX-License-Identifier: Apache-2.0
"""PICOBOOT and the UF2 drive against the RP2040's own boot ROM, under emulation."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rp2040py")

import boards
from boards.errors import CoffretError
from boards.uf2 import Segment, read_uf2
from flasher.errors import (
    GoneError,
    NoPermissionError,
    NotServedError,
    PortBusyError,
    RefusedError,
)
from flasher.transports.interface import Progress, program
from flasher.transports.picoboot import MAGIC, PAGE, SECTOR, Command, Picoboot
from flasher.transports.uf2_volume import FILE, INFO, Uf2Volume, info
from flasher.transports.usb_link import Bus as UsbBus
from tests.transports.drive import Disk, Mount, changed, make_image, mounted
from tests.transports.emulated_pico import EmulatedPico
from tests.transports.usb_bus import Bus, StallError

BOARD = boards.load("rpi-pico")
BASE = BOARD.flash.base
PLACE = "1-1.1"
IMAGE = Segment(BASE, random.Random(3).randbytes(200_000))
SEGMENTS = (
    Segment(BASE, random.Random(1).randbytes(3_000)),
    Segment(BASE + 0x2_0000, random.Random(2).randbytes(6_100)),
)


@pytest.fixture
def pico(tmp_path: Path) -> EmulatedPico:
    flash = tmp_path / "flash.bin"
    flash.write_bytes(b"\x00" * BOARD.flash.size)  # nothing in it is erased
    return EmulatedPico(flash)


def _flash(bus: Bus, *, stay: bool = False) -> list[tuple[int, int]]:
    """Writes the segments; `stay`: without the reboot at the end."""
    told: list[tuple[int, int]] = []
    with Picoboot(UsbBus(bus).open(PLACE)) as transport:
        if stay:
            transport.reset = lambda: None  # type: ignore[method-assign]
        program(transport, SEGMENTS, lambda _: None, lambda *now: told.append(now))
    return told


def _holds_all(flash: Path) -> bool:
    data = flash.read_bytes()
    return all(data[s.address - BASE :][: len(s.data)] == s.data for s in SEGMENTS)


def test_the_boot_rom_erases_writes_gives_back_and_reboots(pico: EmulatedPico) -> None:
    bus = Bus(pico)
    (found,) = UsbBus(bus).devices()
    assert (found.vendor, found.product, found.says) == (0x2E8A, 0x0003, "RP2 Boot")
    told = _flash(bus)
    assert _holds_all(pico.flash)
    assert told[-1] == (9_100, 9_100)
    resets = pico.machine.resets
    for _ in range(2000):
        pico.run(0.0005)
    assert pico.machine.resets == resets + 1


def test_the_boot_roms_refusals_are_said_in_words(pico: EmulatedPico) -> None:
    with Picoboot(UsbBus(Bus(pico)).open(PLACE)) as transport:
        transport.enter_boot_loader()
        with pytest.raises(RefusedError, match="invalid address") as refused:
            transport.read(0xF000_0000, 16)
        assert refused.value.exit_code == 1
        with pytest.raises(RefusedError, match="invalid length"):
            transport._run(Command.FLASH_ERASE, b"123", "erasing")
        # The ROM itself would take this: it has wrapped around by then.
        with pytest.raises(NotServedError, match="not in the flash"):
            transport.erase(0x2000_0000, SECTOR)
        # And it goes on as if nothing had been.
        assert transport.read(BASE, 16) == bytes(16)


@pytest.fixture(scope="module")
def open_board(tmp_path_factory: pytest.TempPathFactory) -> Picoboot:
    flash = tmp_path_factory.mktemp("rom") / "flash.bin"
    flash.write_bytes(b"\xff" * BOARD.flash.size)
    transport = Picoboot(UsbBus(Bus(EmulatedPico(flash))).open(PLACE))
    transport.enter_boot_loader()
    return transport


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    page=st.integers(0, BOARD.flash.size // PAGE - 64), data=st.binary(min_size=1, max_size=5000)
)
def test_what_is_written_anywhere_is_read_back(
    open_board: Picoboot, page: int, data: bytes
) -> None:
    segment = Segment(BASE + page * PAGE, data)
    open_board.erase(segment.address, len(data))
    open_board.write([segment], lambda _d, _t: None)
    open_board.verify(segment)
    assert open_board.read(segment.address, len(data)) == data


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((0, 1, 11, 19), id="four"),
        pytest.param(range(20), marks=pytest.mark.all, id="all"),
    ],
)
def test_picoboot_cable_pulled_at_every_twentieth_of_the_transfer(
    pico: EmulatedPico, parts: Sequence[int]
) -> None:
    bus = Bus(pico)
    _flash(bus, stay=True)
    (socket,) = bus.sockets
    total = socket.moved
    for part in parts:
        pico.erase()
        socket.moved, socket.pull_after = 0, total * part // 20
        with pytest.raises(GoneError, match="went away during") as gone:
            _flash(bus)
        assert gone.value.exit_code == 3
        # Half a flash is one that the ROM does not start, so nobody has to press a button.
        first_page = pico.flash.read_bytes()[:PAGE]
        assert first_page == b"\xff" * PAGE or _holds_all(pico.flash)
        socket.plug()
        _flash(bus, stay=True)
        assert _holds_all(pico.flash)


def test_a_device_that_is_forbidden_or_taken_says_what_to_do(pico: EmulatedPico) -> None:
    bus = Bus(pico)
    bus.sockets[0].forbidden = True
    with pytest.raises(NoPermissionError, match="permission denied") as forbidden:
        _flash(bus)
    assert "coffret udev --install" in forbidden.value.mend
    (facts,) = UsbBus(bus).devices()
    assert not facts.readable
    bus.sockets[0].forbidden, bus.sockets[0].busy = False, True
    with pytest.raises(PortBusyError, match="in use"):
        _flash(bus)


class _Hostile:
    """A USB device with the ROM's descriptors that answers whatever it likes."""

    def __init__(self, honest: EmulatedPico, seed: int) -> None:
        self.device, self.configuration = honest.device, honest.configuration
        self._random = random.Random(seed)

    def string(self, index: int) -> str:
        return "\x1b[2J" * (index % 3)

    def control(self, kind: int, _r: int, _v: int, _i: int, _data: bytes | int) -> bytes:
        if self._random.random() < 0.3:
            raise StallError
        return self._random.randbytes(self._random.randint(0, 20)) if kind & 0x80 else b""

    def bulk_out(self, _endpoint: int, _data: bytes) -> None:
        if self._random.random() < 0.2:
            raise StallError

    def bulk_in(self, _endpoint: int, size: int, _timeout_ms: int) -> bytes:
        if self._random.random() < 0.2:
            raise StallError
        return self._random.randbytes(self._random.randint(0, size))

    def clear_halt(self, _endpoint: int) -> None: ...
    def unplugged(self) -> None: ...


def test_a_hostile_device_causes_errors_for_people_and_nothing_else(pico: EmulatedPico) -> None:
    for seed in range(300):
        with pytest.raises(CoffretError) as failed:
            _flash(Bus(_Hostile(pico, seed)))
        assert failed.value.message.isprintable()


def test_commands_are_laid_out_as_the_data_sheet_says() -> None:
    from flasher.transports.picoboot import COMMAND  # noqa: PLC0415

    assert COMMAND.size == 32
    assert COMMAND.pack(MAGIC, 1, 3, 8, 0, 0, bytes(16))[:4] == bytes.fromhex("0bd11f43")


# The drive


def _copy_to_drive(pico: EmulatedPico, tmp_path: Path) -> str:
    """Our transport onto the mounted drive; what it changed there goes to the ROM."""
    disk = Disk(pico)
    image, before = tmp_path / "drive.img", tmp_path / "before.img"
    start = make_image(disk, image)
    before.write_bytes(image.read_bytes())
    with mounted(image, tmp_path / "drive") as mount:
        assert info(mount.folder)["Board-ID"] == BOARD.host.uf2_label
        family = BOARD.host.uf2_family
        assert family is not None
        with Uf2Volume(mount.folder, family, SECTOR) as transport:
            program(transport, SEGMENTS, lambda _: None, lambda _d, _t: None)
    for number, block in changed(before, image):
        disk.write(start + number, block)
    return mount.driver


def test_a_file_copied_to_the_roms_drive_is_in_the_flash(
    pico: EmulatedPico, tmp_path: Path
) -> None:
    driver = _copy_to_drive(pico, tmp_path)
    assert driver in ("loop", "fusefat")
    assert _holds_all(pico.flash)


def _drive(tmp_path: Path) -> Path:
    """A small FAT file system with a boot loader's file on it."""
    image = tmp_path / "small.img"
    image.write_bytes(bytes(1024 * 1024))
    make = ["/usr/sbin/mkfs.vfat", "-n", "RPI-RP2", str(image)]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    return image


def _prepare(folder: Path) -> None:
    (folder / INFO).write_text("UF2 Bootloader v2.0\nModel: Test\nBoard-ID: RPI-RP2\n")


def _copy(folder: Path, told: Progress = lambda _d, _t: None) -> None:
    with Uf2Volume(folder, 0xE48BFF56, SECTOR) as transport:
        program(transport, (IMAGE,), lambda _: None, told)


def test_drive_pulled_at_every_twentieth_of_the_copy(tmp_path: Path) -> None:
    for part in range(20):
        with mounted(_drive(tmp_path), tmp_path / "drive") as mount:
            _prepare(mount.folder)

            def pull(done: int, total: int, part: int = part, mount: Mount = mount) -> None:
                if done * 20 >= total * part:
                    mount.pull()

            with pytest.raises(GoneError, match="went away during") as gone:
                if part == 0:
                    mount.pull()
                _copy(mount.folder, pull)
            assert gone.value.exit_code == 3
        with mounted(_drive(tmp_path), tmp_path / "drive") as mount:
            _prepare(mount.folder)
            _copy(mount.folder)
            found = read_uf2((mount.folder / FILE).read_bytes())
        assert found.segments[0].data[: len(IMAGE.data)] == IMAGE.data


def test_a_folder_that_is_no_boot_loaders_drive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotServedError, match=INFO):
        info(tmp_path)
    with pytest.raises(GoneError):
        info(tmp_path / "gone")
