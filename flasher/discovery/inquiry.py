# SPDX-License-Identifier: Apache-2.0
"""What boards say when they are asked: mode, image, identity; and what the inventory knows."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from boards.errors import CoffretError
from flasher.answers import Mode
from flasher.discovery.device import SMP, Device
from flasher.errors import RefusedError
from flasher.smp import Board

_TIMEOUT_S = 1.0
_AT_ONCE = 16


def ask(devices: Iterable[Device], inventory: str | None) -> dict[str, dict[str, object]]:
    """Answers by path, of those that answer SMP; all at once."""
    asked = [d for d in devices if d.transport == SMP and d.ready]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = dict(zip((d.path for d in asked), pool.map(_ask, asked), strict=True))
    for answer in answers.values():
        if "device" in answer:
            answer["trust"] = _trust(str(answer["device"]), inventory)
    return answers


def _ask(device: Device) -> dict[str, object]:
    try:
        with Board.open(device.path, _TIMEOUT_S) as board:
            mode = board.mode()
            answer: dict[str, object] = {"mode": mode.value}
            active = [image for image in board.images() if image.active]
            answer["version"] = active[0].version if active else None
            answer["image"] = active[0].digest.hex() if active else None
            with suppress(RefusedError):
                answer["device"] = board.identity().instance_id.hex()
            if mode is Mode.APPLICATION:
                answer["store_erases"] = board.enclaves().store_erases
            return answer
    except CoffretError as error:
        return {"mode": "unknown", "error": error.message}


def _trust(device: str, inventory: str | None) -> str:
    """The last verdict on it, which may be old: `coffret attest` asks anew."""
    from attest import open_inventory  # noqa: PLC0415

    try:
        history = open_inventory(inventory).history(bytes.fromhex(device), 1)
    except CoffretError:
        return "unknown"
    return str(getattr(history[0], "verdict", "unknown")) if history else "unknown"
