# SPDX-License-Identifier: Apache-2.0
"""`coffret decommission`: the end of a device's life, ordered by those who may sign its images.

The order names one device and is judged by its boot, so neither the image that runs nor whoever
carries the bytes can order it; and it means nothing to any other device. Cut short it is repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from boards.errors import USAGE, CoffretError
from firmware.image.decommission import order
from flasher.answers import Mode
from flasher.errors import RefusedError
from flasher.flash import BACK_S, Say, require_application
from flasher.smp import Board, wait_for

if TYPE_CHECKING:
    from firmware.image.signer import ImageSigner

LIFECYCLE_DECOMMISSIONED = 0x6000  # RFC 9783 section 4.3.1
_SETTLE_S = 0.2


@dataclass(frozen=True, slots=True)
class Decommissioned:
    """`device`: its instance id, hex. `changed` is False when it was decommissioned before."""

    device: str
    changed: bool

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def decommission(
    port: str, device: str, signers: Sequence[ImageSigner], say: Say
) -> Decommissioned:
    """Decommissions the board at `port`, if it is the device with this instance id.

    Raises RefusedError when it is another, or when its boot does not take the order.
    """
    with Board.open(port) as board:
        identity = board.identity()
        if identity.lifecycle == LIFECYCLE_DECOMMISSIONED:
            return Decommissioned(device, changed=False)
        require_application(board, "be decommissioned")
        found = identity.instance_id.hex()
        if len(device) < 16 or not found.startswith(device.lower()):
            raise CoffretError(
                f"{port}: this board is {found}, not {device}",
                "name the board that is there by its instance id, 16 digits of it at least",
                USAGE,
            )
        board.decommission(order(identity.instance_id, signers))
        asked = time.monotonic()
        board.reset()
    say("the order is stored; boot judges it")
    time.sleep(_SETTLE_S)
    if not wait_for(port, BACK_S, lambda board: _is_over(board, asked)):
        raise RefusedError(
            f"{port}: the board's boot did not take the order",
            "sign it with as many of the keys that its images need (--key), none of them revoked",
        )
    return Decommissioned(found, changed=True)


def _is_over(board: Board, asked: float) -> bool | None:
    """What became of the order; None: the board has not started again since it was asked to."""
    if board.identity().lifecycle == LIFECYCLE_DECOMMISSIONED:
        return True
    if board.mode() is not Mode.APPLICATION:
        return None
    runs_for = board.enclaves().uptime_ms / 1000
    return False if runs_for < time.monotonic() - asked else None
