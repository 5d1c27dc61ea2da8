# SPDX-License-Identifier: Apache-2.0
"""smpclient as it comes, spoken through a virtual board's port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from smp.image_management import IMG_MGMT_ERR, ImageState
from smp.os_management import BootMode
from smpclient import SMPClient
from smpclient.exceptions import SMPUploadError
from smpclient.generics import error_v2, success
from smpclient.requests.image_management import ImageStatesRead
from smpclient.requests.os_management import EchoWrite, ResetWrite
from smpclient.transport.serial import SMPSerialTransport

from flasher.virtual import VirtualBoard, make_flash
from tests.firmware.builds import board
from tests.store.store_model import records_in

T = TypeVar("T")


@contextmanager
def switched_on(state: Path, boot: Path, image: bytes | None) -> Iterator[VirtualBoard]:
    make_flash(board(), state / "flash.bin", image)
    with VirtualBoard(board(), boot, state, root=state) as running:
        yield running


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


def reset(virtual: VirtualBoard, mode: BootMode | None = None, answers: bool = True) -> None:
    """Resets, and waits until something answers again, unless it will not."""

    async def ask() -> None:
        async with client(virtual) as smp:
            request = ResetWrite() if mode is None else ResetWrite(boot_mode=mode)
            assert success(await smp.request(request))

    talk(ask())
    if answers:
        wait(virtual)


def wait(virtual: VirtualBoard) -> None:
    async def ask() -> None:
        # The line may still hold what was sent before the reset: only a reply to us counts.
        until = time.monotonic() + 60
        while time.monotonic() < until:
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


def records(virtual: VirtualBoard) -> dict[int, bytes]:
    store = board().flash.store
    return records_in(virtual.flash.read_bytes(), store.offset, store.bank_size, 4)


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
