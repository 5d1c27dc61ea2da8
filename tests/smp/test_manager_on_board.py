# SPDX-License-Identifier: Apache-2.0
"""smpclient as it comes, against the manager on the emulated board."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from smp.image_management import IMG_MGMT_ERR
from smp.os_management import BootMode
from smpclient.generics import error_v2, success
from smpclient.requests.image_management import ImageErase, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead

from flasher.virtual import VirtualBoard
from tests.firmware.builds import HELLO, build_bundle
from tests.qemu import needs_qemu
from tests.smp.on_board import (
    client,
    damaged,
    records,
    refused,
    reset,
    slots,
    states,
    switched_on,
    talk,
    upload,
    wait,
)

pytestmark = needs_qemu


@dataclass(frozen=True, slots=True)
class Release:
    """One version of examples/hello: its images for slot A and B, and boot."""

    images: tuple[bytes, bytes]
    boot: Path


def release(version: str, counter: int, folder: Path) -> Release:
    source = folder / "source"
    shutil.copytree(HELLO, source)
    manifest = source / "appliance.toml"
    text = manifest.read_text().replace('"1.0.0"', f'"{version}"\nsecurity_counter = {counter}')
    manifest.write_text(text)
    build_bundle(source, folder)
    built = folder / "bundle"
    images = ((built / "slot_a.bin").read_bytes(), (built / "slot_b.bin").read_bytes())
    return Release(images, built / "boot.elf")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release("1.0.0", 1, tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release("1.1.0", 2, tmp_path_factory.mktemp("new"))


@pytest.fixture
def blank(old: Release, tmp_path: Path) -> Iterator[VirtualBoard]:
    """A board from the factory: it has boot and its secret, and no image."""
    with switched_on(tmp_path, old.boot, None) as running:
        yield running


@pytest.fixture
def running(old: Release, tmp_path: Path) -> Iterator[VirtualBoard]:
    """A board that runs release `old` from slot A."""
    with switched_on(tmp_path, old.boot, old.images[0]) as virtual:
        yield virtual


def mode(virtual: VirtualBoard) -> str:
    """By what the standard requests tell: in recovery nothing is active."""
    return "application" if any(s.active for s in slots(virtual).values()) else "recovery"


def test_the_standard_os_group_answers(running: VirtualBoard) -> None:
    async def ask() -> None:
        async with client(running) as smp:
            for text in ("hello", "x" * 1900):
                echo = await smp.request(EchoWrite(d=text))
                assert success(echo) and echo.r == text
            parameters = await smp.request(MCUMgrParametersRead())
            assert success(parameters) and parameters.buf_size == 2048

    wait(running)
    talk(ask())


def test_an_update_is_tried_confirmed_and_kept(
    running: VirtualBoard, old: Release, new: Release
) -> None:
    async def flash() -> None:
        async with client(running) as smp:
            await upload(smp, new.images[1])
            digest = (await states(smp))[1].hash
            marked = await smp.request(ImageStatesWrite(hash=digest))
            assert success(marked) and marked.images[1].pending

    async def confirm() -> None:
        async with client(running) as smp:
            answer = await smp.request(ImageStatesWrite(confirm=True))
            assert success(answer) and answer.images[1].confirmed

    wait(running)
    talk(flash())
    reset(running)
    now = slots(running)
    assert (now[1].active, now[1].confirmed, now[0].confirmed) == (True, False, True)
    assert refused(running, old.images[0]) == IMG_MGMT_ERR.NO_FREE_SLOT, "it is the fallback"
    talk(confirm())
    assert records(running)[2] == (2).to_bytes(4, "little"), "the security counter rose"
    reset(running)
    assert slots(running)[1].active
    # Now A may be written, but not with something older than what was confirmed.
    assert refused(running, old.images[0]) == IMG_MGMT_ERR.CURRENT_VERSION_IS_NEWER


def test_an_update_that_is_not_confirmed_is_gone_after_the_next_reset(
    running: VirtualBoard, new: Release
) -> None:
    async def flash() -> None:
        async with client(running) as smp:
            await upload(smp, new.images[1])
            assert success(await smp.request(ImageStatesWrite(hash=(await states(smp))[1].hash)))

    wait(running)
    talk(flash())
    reset(running)
    assert slots(running)[1].active
    reset(running)
    now = slots(running)
    assert (now[0].active, now[0].confirmed) == (True, True)
    assert records(running)[1] == bytes([0, 255, 0, 15]), "reason: trial not confirmed"


def test_the_manager_refuses_what_boot_would(running: VirtualBoard, new: Release) -> None:
    wait(running)
    assert refused(running, new.images[0]) == IMG_MGMT_ERR.INVALID_FLASH_ADDRESS
    assert refused(running, damaged(new.images[1], 0x800)) == IMG_MGMT_ERR.INVALID_HASH

    async def mark() -> None:
        async with client(running) as smp:
            digest = (await states(smp))[1].hash
            answer = await smp.request(ImageStatesWrite(hash=digest))
            assert error_v2(answer) and answer.err.rc == IMG_MGMT_ERR.INVALID_HASH
            assert success(await smp.request(ImageErase(slot=1)))
            assert 1 not in await states(smp)
            wrong = await smp.request(ImageErase(slot=0))
            assert error_v2(wrong) and wrong.err.rc == IMG_MGMT_ERR.NO_FREE_SLOT

    talk(mark())


def test_recovery_can_be_asked_for_once(running: VirtualBoard) -> None:
    wait(running)
    reset(running, BootMode.BOOTLOADER)
    assert mode(running) == "recovery"
    reset(running)
    assert mode(running) == "application"


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(0.02, marks=pytest.mark.all),
        0.5,
        pytest.param(0.98, marks=pytest.mark.all),
    ],
)
def test_power_cut_in_an_upload_leaves_what_ran(
    running: VirtualBoard, new: Release, part: float
) -> None:
    image = new.images[1]

    async def half() -> None:
        async with client(running) as smp:
            async for offset in smp.upload(image):
                if offset >= part * len(image):
                    return

    wait(running)
    talk(half())
    running.power_cycle()
    wait(running)
    assert slots(running)[0].active

    async def again() -> None:
        async with client(running) as smp:
            assert await upload(smp, image) == len(image)

    talk(again())
    assert slots(running)[1].version == "1.1.0"


def test_smpmgr_flashes_a_blank_board_and_then_updates_it(
    blank: VirtualBoard, old: Release, new: Release, tmp_path: Path
) -> None:
    def smpmgr(*arguments: str) -> str:
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        program = Path(sys.executable).parent / "smpmgr"
        command = [str(program), "--port", blank.port, "--timeout", "10", *arguments]
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, env=environment, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "a.bin").write_bytes(old.images[0])
    (tmp_path / "b.bin").write_bytes(new.images[1])
    assert "No images on device" in smpmgr("image", "state-read")
    assert "Upgrade complete" in smpmgr("upgrade", str(tmp_path / "a.bin"))
    wait(blank)
    assert "version='1.0.0'" in smpmgr("image", "state-read")
    assert "Upgrade complete" in smpmgr("upgrade", str(tmp_path / "b.bin"), "--slot", "1")
    wait(blank)
    smpmgr("image", "state-write", "--confirm")
    now = slots(blank)[1]
    assert (now.version, now.active, now.confirmed) == ("1.1.0", True, True)
