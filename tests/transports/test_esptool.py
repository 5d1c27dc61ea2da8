# SPDX-License-Identifier: Apache-2.0
"""esptool, as its own process, flashes a ROM that speaks Espressif's protocol byte for byte."""

from __future__ import annotations

import functools
import hashlib
import random
from pathlib import Path

import pytest

from boards.uf2 import Segment
from flasher.errors import BadFileError, GoneError, NoAnswerError, NoPortError, VerifyError
from flasher.programming import Written, write_file
from flasher.transports.esptool import Esptool
from flasher.transports.interface import program
from tests.transports.simulated_esp32 import FLASH_DATA, MD5, SimulatedEsp32

# Noise does not shrink: the ROM's plain and its compressed way are about as long.
IMAGE = Segment(0x1000, random.Random(1).randbytes(24_000))
OTHER = Segment(0x1_0000, b"coffret" * 1_000)


def _transport(port: str) -> Esptool:
    return Esptool(port, chip="esp32", reset_by="no-reset", stub=False)


def _flash(port: str) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    with _transport(port) as transport:
        program(transport, (IMAGE, OTHER), lambda _: None, lambda *now: told.append(now))
    return told


def _holds_all(rom: SimulatedEsp32) -> bool:
    return all(rom.flash[s.address : s.end] == s.data for s in (IMAGE, OTHER))


def test_esptool_writes_and_the_rom_hashes_what_it_holds() -> None:
    with SimulatedEsp32() as rom:
        told = _flash(rom.port)
        assert _holds_all(rom)
        assert MD5 in rom.commands
    assert told[-1] == (31_000, 31_000)
    assert any(0 < done < 31_000 for done, _ in told)


def _radio(path: Path, port: str, pinned: str, monkeypatch: pytest.MonkeyPatch) -> Written:
    """As `coffret flash --at`; the simulated ROM runs no loader of esptool's."""
    rom_only = functools.partial(Esptool, chip="esp32", stub=False)
    monkeypatch.setattr("flasher.transports.esptool.Esptool", rom_only)
    return write_file(
        path, "0x10000", port, "esptool", lambda _: None, lambda _d, _t: None, pinned=pinned
    )


def test_a_radios_firmware_of_another_digest_never_reaches_the_radio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firmware = tmp_path / "radio.bin"
    firmware.write_bytes(OTHER.data)
    pinned = hashlib.sha256(OTHER.data).hexdigest()
    with SimulatedEsp32() as rom:
        for forged in (OTHER.data[:-1], OTHER.data + b"\0", b"C" + OTHER.data[1:]):
            firmware.write_bytes(forged)
            with pytest.raises(BadFileError, match="its SHA-256 is") as refused:
                _radio(firmware, rom.port, pinned, monkeypatch)
            assert refused.value.exit_code == 2
        assert not rom.commands
        firmware.write_bytes(OTHER.data)
        written = _radio(firmware, rom.port, pinned.upper(), monkeypatch)
        assert rom.flash[OTHER.address : OTHER.end] == OTHER.data
    assert written.sha256 == pinned


def test_a_bit_that_did_not_take_is_found_by_its_hash() -> None:
    with SimulatedEsp32() as rom, _transport(rom.port) as transport:
        transport.write([OTHER], lambda _d, _t: None)
        transport.verify(OTHER)
        rom.flash[OTHER.address + 5] ^= 1
        with pytest.raises(VerifyError, match="verification failed"):
            transport.verify(OTHER)


def test_a_part_that_does_not_answer_is_an_environment_error() -> None:
    with SimulatedEsp32(silent=True) as rom, pytest.raises(NoAnswerError) as silent:
        _flash(rom.port)
    assert silent.value.exit_code == 3


def test_a_port_that_is_not_there_is_an_environment_error() -> None:
    with pytest.raises(NoPortError) as missing:
        _flash("/dev/there-is-no-such-port")
    assert missing.value.exit_code == 3


@pytest.mark.parametrize("part", [1, pytest.param(11, marks=pytest.mark.all)])
def test_esptool_cable_pulled_during_the_transfer(part: int) -> None:
    _pull(part)


@pytest.mark.all
def test_esptool_cable_pulled_at_every_twentieth_of_the_transfer() -> None:
    for part in range(20):
        _pull(part)


def _pull(part: int) -> None:
    with SimulatedEsp32() as rom, _transport(rom.port) as transport:
        transport.write([IMAGE], lambda _d, _t: None)
        total = rom.received
        assert FLASH_DATA in rom.commands or 0x11 in rom.commands
        rom.received, rom.pull_after = 0, total * part // 20
        with pytest.raises((GoneError, NoAnswerError)) as gone:
            transport.write([IMAGE], lambda _d, _t: None)
        assert gone.value.exit_code == 3
        rom.pull_after = None
        transport.write([IMAGE], lambda _d, _t: None)
        assert rom.flash[IMAGE.address : IMAGE.end] == IMAGE.data
