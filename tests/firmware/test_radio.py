# SPDX-License-Identifier: Apache-2.0
"""`[radio]`: pinned in the manifest, carried by the bundle, written to the module as pinned."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import attest
import boards
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.build import build
from firmware.bundle.folder import RADIO_FILE, Bundle, BundleError, load_bundle
from firmware.image.table_reader import read_tables
from firmware.planning.plan_document import plan_document
from firmware.planning.planner import make_plan
from firmware.sign_cli import signed_reference_values
from flasher.cli import flash
from flasher.errors import GoneError, NoAnswerError, NotServedError, OtherFileError
from flasher.programming import write_radio
from tests.firmware.builds import HELLO, TEST_KEY, means
from tests.transports.simulated_esp32 import SimulatedEsp32

BOARD = "nano-rp2040"
FIRMWARE = random.Random(7).randbytes(9_001)
DIGEST = hashlib.sha256(FIRMWARE).hexdigest()
FIRST_LINE = len((HELLO / "appliance.toml").read_text().splitlines()) + 2


def appliance(folder: Path, sha256: str = DIGEST, firmware: bytes | None = FIRMWARE) -> Path:
    """hello, with a radio module's firmware."""
    made = folder / "hello"
    shutil.copytree(HELLO, made, dirs_exist_ok=True)
    if firmware is not None:
        (made / "nina-fw.bin").write_bytes(firmware)
    table = f'\n[radio]\nfirmware = "nina-fw.bin"\nsha256 = "{sha256}"\n'
    path = made / "appliance.toml"
    path.write_text(path.read_text() + table)
    return made


def refused(folder: Path, board: str = BOARD) -> str:
    with pytest.raises(ApplianceError) as caught:
        make_plan(load(folder), boards.load(board))
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert problem.mend
    return f"{problem.file.name}:{problem.line}: {problem.key}: {problem.what}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("radio")
    ways = means(folder / "work")
    return build(load(appliance(folder)), boards.load(BOARD), folder / "bundle", ways)


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    other = appliance(tmp_path, firmware=FIRMWARE[:-1])
    found = hashlib.sha256(FIRMWARE[:-1]).hexdigest()
    assert refused(other) == (
        f"appliance.toml:{FIRST_LINE + 2}: radio.sha256: nina-fw.bin has {found}"
    )


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert refused(appliance(tmp_path, firmware=None)).startswith(
        f"appliance.toml:{FIRST_LINE + 1}: radio.firmware: nina-fw.bin: no such file"
    )


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    empty = appliance(tmp_path, hashlib.sha256(b"").hexdigest(), b"")
    assert "radio.firmware: nina-fw.bin: is empty" in refused(empty)


def test_a_digest_that_is_none_is_told(tmp_path: Path) -> None:
    assert f"appliance.toml:{FIRST_LINE + 2}: radio.sha256: " in refused(appliance(tmp_path, "abc"))


def test_a_board_without_a_radio_module_refuses_the_table(tmp_path: Path) -> None:
    assert refused(appliance(tmp_path), "rpi-pico") == (
        f"appliance.toml:{FIRST_LINE}: radio: rpi-pico has no radio module"
    )


def test_firmware_longer_than_the_modules_flash_is_refused(tmp_path: Path) -> None:
    large = bytes((2 << 20) + 1)
    path = appliance(tmp_path, hashlib.sha256(large).hexdigest(), large)
    assert "radio.firmware: 2097153 bytes, the u-blox NINA-W102 has room for" in refused(path)


def test_the_plan_has_the_digest(tmp_path: Path) -> None:
    plan = make_plan(load(appliance(tmp_path)), boards.load(BOARD))
    assert json.loads(plan_document(plan))["radio"] == DIGEST


def test_the_pin_is_in_images_reference_values_and_bill(bundle: Bundle) -> None:
    for slot in "ab":
        rows = read_tables(bundle.folder / "elf" / f"slot_{slot}.elf").components
        assert [(row.type, row.digest.hex()) for row in rows][-1] == ("radio", DIGEST)
    assert attest.load_bundle(bundle.folder).radio == bytes.fromhex(DIGEST)
    assert bundle.facts.reference.radio == bundle.facts.contents[RADIO_FILE] == DIGEST
    assert (bundle.folder / RADIO_FILE).read_bytes() == FIRMWARE
    bill = json.loads(bundle.path("sbom").read_text())
    listed = {each["name"]: each for each in bill["components"]}
    assert listed[RADIO_FILE]["type"] == "firmware"
    assert listed[RADIO_FILE]["hashes"][0]["content"] == DIGEST
    with zipfile.ZipFile(bundle.folder / "sources.zip") as sources:
        assert sources.read("nina-fw.bin") == FIRMWARE


def _damaged(bundle: Bundle, folder: Path) -> Path:
    shutil.copytree(bundle.folder, folder)
    (folder / RADIO_FILE).write_bytes(b"\x00" + FIRMWARE[1:])
    return folder


def test_a_bundle_with_another_file_does_not_load(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=RADIO_FILE):
        load_bundle(_damaged(bundle, tmp_path / "bundle"))


def test_flash_writes_the_module_and_its_rom_compares(bundle: Bundle) -> None:
    with SimulatedEsp32() as rom:
        command = [str(bundle.folder), "--radio", "--port", rom.port, "--json"]
        result = CliRunner().invoke(flash, command)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) == {
            "address": 0,
            "bytes": len(FIRMWARE),
            "transport": "esptool",
            "sha256": DIGEST,
        }
        assert rom.flash[: len(FIRMWARE)] == FIRMWARE


def test_a_file_with_another_digest_never_reaches_the_module(
    bundle: Bundle, tmp_path: Path
) -> None:
    with SimulatedEsp32() as rom:
        with pytest.raises(BundleError) as caught:
            _write(_damaged(bundle, tmp_path / "bundle"), rom)
        assert caught.value.exit_code == 1
        assert not rom.received


@pytest.mark.all
def test_firmware_that_would_not_be_attested_is_not_written(tmp_path: Path) -> None:
    """A bundle at odds with itself: its reference values pin another file."""
    other = "ab" * 32
    ways = replace(
        means(tmp_path / "work"),
        endorse=lambda facts: signed_reference_values(
            facts.model_copy(
                update={"reference": facts.reference.model_copy(update={"radio": other})}
            ),
            TEST_KEY,
        ),
    )
    made = build(load(appliance(tmp_path)), boards.load(BOARD), tmp_path / "bundle", ways)
    with SimulatedEsp32() as rom:
        with pytest.raises(OtherFileError) as caught:
            _write(made.folder, rom)
        assert caught.value.exit_code == 1
        assert other in caught.value.message
        assert not rom.received


@pytest.mark.all
def test_a_pulled_cable_is_told_and_the_same_command_mends_it(bundle: Bundle) -> None:
    with SimulatedEsp32() as rom:
        _write(bundle.folder, rom)
        rom.pull_after, rom.received = rom.received // 2, 0
        with pytest.raises((GoneError, NoAnswerError)) as caught:
            _write(bundle.folder, rom)
        assert caught.value.exit_code == 3
        rom.pull_after = None
        _write(bundle.folder, rom)
        assert rom.flash[: len(FIRMWARE)] == FIRMWARE


def test_a_bundle_without_radio_firmware_has_nothing_to_write(hello: Bundle) -> None:
    with SimulatedEsp32() as rom, pytest.raises(NotServedError, match="no firmware for a radio"):
        _write(hello.folder, rom)


def test_the_modules_port_must_be_named(bundle: Bundle) -> None:
    with pytest.raises(NotServedError) as caught:
        write_radio(bundle.folder, None, lambda _: None, lambda _d, _t: None)
    assert "--port" in caught.value.mend


def test_the_address_is_the_boards_to_say(bundle: Bundle) -> None:
    command = [str(bundle.folder), "--radio", "--at", "0x1000", "--port", "nowhere"]
    result = CliRunner().invoke(flash, command)
    assert result.exit_code == 2
    assert "leave out --at" in result.output


def _write(folder: Path, rom: SimulatedEsp32) -> None:
    write_radio(folder, rom.port, lambda _: None, lambda _d, _t: None)
