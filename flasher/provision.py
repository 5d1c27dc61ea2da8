# SPDX-License-Identifier: Apache-2.0
"""`coffret provision`: the board proves its identity, the operator endorses it.

Every step can be cut short and repeated: the inventory is written before the board, and what is
done already is found done.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import attest
from attest import certificate as certificates
from attest import endorsement as endorsements
from attest import psa_token
from attest.dice import Mode
from attest.errors import AttestError
from flasher import answers
from flasher.errors import RefusedError
from flasher.flash import BACK_S, Say, require_application
from flasher.smp import Board, wait_for
from flasher.transport import Guard, unguarded

if TYPE_CHECKING:
    from attest.inventory import Device, DeviceRecords
    from attest.p256 import PrivateKey

LIFECYCLE_SECURED = 0x3000  # RFC 9783 section 4.3.1
_SETTLE_S = 0.2
_NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A provisioned device. `changed` is False when everything was there already."""

    device: str
    name: str
    board: str
    changed: bool

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def provision(
    port: str,
    operator: PrivateKey,
    inventory: DeviceRecords,
    name: str | None,
    say: Say,
    guard: Guard = unguarded,
) -> Provisioned:
    """Provisions the board at `port`; idempotent.

    Raises RefusedError when the board cannot prove its identity, or another operator has it.
    """
    done = endorse(port, operator, inventory, name, say, guard)
    secure(port, say, guard)
    return done


def endorse(
    port: str,
    operator: PrivateKey,
    inventory: DeviceRecords,
    name: str | None,
    say: Say,
    guard: Guard = unguarded,
) -> Provisioned:
    """The first half: identity proved, endorsement recorded, then written to the board."""
    with Board.open(port, guard=guard) as board:
        require_application(board, "be provisioned")
        identity = prove_identity(board)
        say(f"the board proved its identity {identity.instance_id.hex()[:16]}…")
        held = board.endorsement()
        device = _record(identity, held, operator, inventory, name, say)
        changed = held != device.endorsement
        if changed:
            board.endorse(device.endorsement)
            say("the board holds the endorsement")
    return Provisioned(device.instance_id.hex(), device.name, device.board, changed)


def secure(port: str, say: Say, guard: Guard = unguarded) -> bool:
    """The second half: boot has measured the lifecycle `secured`, after a reset if need be.

    Returns whether there was one.
    """
    with Board.open(port, guard=guard) as board:
        require_application(board, "be provisioned")
        if board.identity().lifecycle == LIFECYCLE_SECURED and _measured_as_secured(board):
            return False
        board.reset()
    say("resetting, so that boot measures a secured board")
    time.sleep(_SETTLE_S)
    wait_for(port, BACK_S, _secured, guard)
    return True


def prove_identity(board: Board) -> attest.Identity:
    """The identity of the board, proved over a fresh nonce. Raises RefusedError.

    Whoever answers holds a key that the identity key certified: a copied identity is no use.
    """
    said = board.identity()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    answer = board.evidence(nonce)
    try:
        identity = attest.Identity(
            said.instance_id, said.key, said.implementation_id, said.boot_digest
        )
        boot = certificates.verify(answer.certificate, identity.public_key)
        token = psa_token.verify(answer.token, boot.alias_key)
        agrees = {
            "the nonce": token.nonce == nonce,
            "the instance id": token.instance_id == identity.instance_id,
            "the implementation id": token.implementation_id == identity.implementation_id,
            "the boot digest": boot.boot_digest == identity.boot_digest,
        }
    except AttestError as error:
        raise _not_proved(board, str(error)) from error
    for what, same in agrees.items():
        if not same:
            raise _not_proved(board, f"{what} in its evidence is another")
    return identity


def _not_proved(board: Board, why: str) -> RefusedError:
    return RefusedError(
        f"{board.port}: the board did not prove its identity: {why}",
        "do not trust this board; look at what it is, then flash it anew",
    )


def _record(
    identity: attest.Identity,
    held: bytes | None,
    operator: PrivateKey,
    inventory: DeviceRecords,
    name: str | None,
    say: Say,
) -> Device:
    """The inventory's entry for the board, made now unless there is a valid one."""
    known = inventory.device(identity.instance_id)
    for endorsement in (None if known is None else known.endorsement, held):
        if endorsement is not None and _is_ours(endorsement, identity, operator):
            if known is None or known.endorsement != endorsement or name not in (None, known.name):
                say("the inventory takes the endorsement over")
                return inventory.add_device(identity, endorsement, name)
            return known
    if held is not None and known is None:
        raise RefusedError(
            "another operator has endorsed this board",
            "use that operator's key (--keys), or take the board over by a factory reset",
        )
    attest.endorse(identity, operator, inventory, name=name)
    say("the operator's key endorsed it, and the inventory knows it")
    device = inventory.device(identity.instance_id)
    assert device is not None
    return device


def _is_ours(endorsement: bytes, identity: attest.Identity, operator: PrivateKey) -> bool:
    try:
        return endorsements.verify(endorsement, operator.public_key()).identity == identity
    except AttestError:
        return False


def _measured_as_secured(board: Board) -> bool:
    """Whether boot saw the lifecycle `secured`: it derives the attestation key from that."""
    answer = board.evidence(secrets.token_bytes(_NONCE_BYTES))
    return certificates.read(answer.certificate).mode == Mode.NORMAL


def _secured(board: Board) -> bool | None:
    if board.mode() is answers.Mode.RECOVERY:
        return None
    return True if _measured_as_secured(board) else None
