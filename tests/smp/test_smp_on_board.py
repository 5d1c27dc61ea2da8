# SPDX-License-Identifier: Apache-2.0
"""smpclient as it comes, against recovery and manager on the emulated board."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from smp.image_management import IMG_MGMT_ERR, ImageState
from smp.os_management import BootMode
from smpclient import SMPClient
from smpclient.exceptions import SMPUploadError
from smpclient.generics import error_v2, success
from smpclient.requests.image_management import ImageErase, ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import (
    BootloaderInformationRead,
    EchoWrite,
    MCUMgrParametersRead,
    ResetWrite,
)
from smpclient.transport.serial import SMPSerialTransport
from smpclient.transport.serial.encoded import BufferParams, BufferSize

from flasher.virtual import VirtualBoard, make_flash
from tests.firmware.builds import HELLO, board, build_bundle
from tests.qemu import needs_qemu
from tests.store.store_model import records_in

pytestmark = needs_qemu
T = TypeVar("T")


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


@contextmanager
def switched_on(state: Path, boot: Path, image: bytes | None) -> Iterator[VirtualBoard]:
    make_flash(board(), state / "flash.bin", image)
    with VirtualBoard(board(), boot, state, root=state) as running:
        yield running


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


def client(virtual: VirtualBoard, transport: SMPSerialTransport | None = None) -> SMPClient:
    return SMPClient(transport or SMPSerialTransport(), virtual.port, timeout_s=10)


def talk(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def states(smp: SMPClient) -> dict[int, ImageState]:
    answer = await smp.request(ImageStatesRead())
    assert success(answer)
    return {image.slot: image for image in answer.images}


async def upload(smp: SMPClient, image: bytes) -> int:
    last = 0
    async for offset in smp.upload(image):
        last = offset
    return last


def reset(virtual: VirtualBoard, mode: BootMode | None = None) -> None:
    """Resets, and waits until something answers again."""

    async def ask() -> None:
        async with client(virtual) as smp:
            request = ResetWrite() if mode is None else ResetWrite(boot_mode=mode)
            assert success(await smp.request(request))

    talk(ask())
    wait(virtual)


def wait(virtual: VirtualBoard) -> None:
    async def ask() -> None:
        # The line may still hold what was sent before the reset: only a reply to us counts.
        for _ in range(20):
            smp = SMPClient(SMPSerialTransport(), virtual.port, timeout_s=0.5)
            await smp._transport.connect(virtual.port, 1)
            try:
                assert success(await smp.request(EchoWrite(d="there?")))
                return
            except Exception:
                time.sleep(0.1)
            finally:
                await smp.disconnect()
        pytest.fail("nobody answers after a reset")

    talk(ask())


def slots(virtual: VirtualBoard) -> dict[int, ImageState]:
    async def ask() -> dict[int, ImageState]:
        async with client(virtual) as smp:
            return await states(smp)

    return talk(ask())


def mode(virtual: VirtualBoard) -> str:
    """By what the standard requests tell: in recovery nothing is active."""
    return "application" if any(s.active for s in slots(virtual).values()) else "recovery"


def records(virtual: VirtualBoard) -> dict[int, bytes]:
    store = board().flash.store
    return records_in(virtual.flash.read_bytes(), store.offset, store.bank_size, 4)


def test_the_standard_os_group_answers_in_both_places(old: Release, tmp_path: Path) -> None:
    async def ask(virtual: VirtualBoard) -> None:
        async with client(virtual) as smp:
            for text in ("hello", "x" * 1900):
                echo = await smp.request(EchoWrite(d=text))
                assert success(echo) and echo.r == text
            parameters = await smp.request(MCUMgrParametersRead())
            assert success(parameters) and parameters.buf_size == 2048
            info = await smp.request(BootloaderInformationRead())
            assert success(info) and info.bootloader == "coffret"
            unknown = await smp.request(BootloaderInformationRead(query="weather"))
            assert error_v2(unknown) and unknown.err.rc == 3

    for name, image in (("recovery", None), ("application", old.images[0])):
        state = tmp_path / name
        state.mkdir()
        with switched_on(state, old.boot, image) as virtual:
            wait(virtual)
            talk(ask(virtual))


@pytest.mark.parametrize("slot", [0, 1])
def test_a_blank_board_takes_an_image_for_either_slot_and_runs_it(
    blank: VirtualBoard, old: Release, slot: int
) -> None:
    image = old.images[slot]

    async def flash() -> None:
        async with client(blank) as smp:
            assert await states(smp) == {}
            assert await upload(smp, image) == len(image)
            (state,) = (await states(smp)).values()
            assert (state.slot, state.version, state.active) == (slot, "1.0.0", False)

    talk(flash())
    reset(blank)
    (state,) = slots(blank).values()
    assert (state.slot, state.active, state.confirmed) == (slot, True, True)


@pytest.mark.parametrize(
    "transport",
    [
        SMPSerialTransport(BufferParams(line_length=128, line_buffers=2)),
        SMPSerialTransport(BufferSize(buf_size=2048, line_length=64)),
    ],
    ids=["as smpmgr", "short lines"],
)
def test_other_packet_sizes_upload_the_same(
    blank: VirtualBoard, old: Release, transport: SMPSerialTransport
) -> None:
    async def flash() -> None:
        async with client(blank, transport) as smp:
            await upload(smp, old.images[0])

    talk(flash())
    extent = board().flash.slot_a.offset
    assert blank.flash.read_bytes()[extent : extent + len(old.images[0])] == old.images[0]


def refused(virtual: VirtualBoard, image: bytes) -> IMG_MGMT_ERR:
    async def flash() -> IMG_MGMT_ERR:
        async with client(virtual) as smp:
            with pytest.raises(SMPUploadError) as failure:
                await upload(smp, image)
            answer = failure.value.args[0]
            assert error_v2(answer)
            return IMG_MGMT_ERR(answer.err.rc)

    return talk(flash())


def damaged(image: bytes, offset: int) -> bytes:
    return image[:offset] + bytes([image[offset] ^ 1]) + image[offset + 1 :]


def test_recovery_verifies_what_was_uploaded(blank: VirtualBoard, old: Release) -> None:
    image = old.images[0]
    assert refused(blank, damaged(image, 0x1000)) == IMG_MGMT_ERR.INVALID_HASH
    assert refused(blank, damaged(image, len(image) - 1)) == IMG_MGMT_ERR.INVALID_TLV
    assert refused(blank, image[:-10]) == IMG_MGMT_ERR.INVALID_TLV
    assert refused(blank, bytes(1000)) == IMG_MGMT_ERR.INVALID_IMAGE_HEADER_MAGIC
    reset(blank)
    assert mode(blank) == "recovery"


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


@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
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


@pytest.mark.skipif(shutil.which("smpmgr") is None, reason="smpmgr is not installed")
def test_smpmgr_flashes_a_blank_board_and_then_updates_it(
    blank: VirtualBoard, old: Release, new: Release, tmp_path: Path
) -> None:
    def smpmgr(*arguments: str) -> str:
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        command = ["smpmgr", "--port", blank.port, "--timeout", "10", *arguments]
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
