# SPDX-License-Identifier: Apache-2.0
"""What is done to one board, step by step. Each step finds done what is done already.

So a step may be cut short anywhere and repeated: after a crash, by another worker, on another day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from attest.endorsement import Identity
from attest.inventory import Device, Inventory
from attest.p256 import PrivateKey, key_hash
from attest.units import Held, Unit, Units
from boards.errors import NO, USAGE, CoffretError
from flasher import label, provision, settings
from flasher.attestation import UntrustedError, require_trusted
from flasher.delta import DeltaFor
from flasher.errors import RefusedError
from flasher.flash import Say, flash
from flasher.fleet.bundles import FleetBundle
from flasher.smp import Board
from flasher.smp_session import Progress
from flasher.transport import Guard

Result: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Bench:
    """A board on the bench, and what it is worked on with. `guard` raises at a lost lease."""

    port: str
    unit: Unit
    held: Held
    bundle: FleetBundle
    operator: PrivateKey
    inventory: Inventory
    labels: str | None  # a folder and a kind: "labels/*.png"
    say: Say
    progress: Progress
    guard: Guard
    deltas: DeltaFor


@dataclass(frozen=True, slots=True)
class LeasedRecords:
    """The inventory's devices, written only while the lease is ours, each bound to its unit."""

    units: Units
    held: Held
    key: bytes

    def device(self, instance_id: bytes) -> Device | None:
        """The device with this instance id."""
        return self.units.inventory.device(instance_id)

    def add_device(self, identity: Identity, endorsement: bytes, name: str | None = None) -> Device:
        """Records the endorsement and binds the unit to the identity. Raises what `enrol` does."""
        return self.units.enrol(self.held, identity, endorsement, name, self.key)


def check_board(bench: Bench) -> Result:
    """It is the kind of board that the bundle is for, and not a copy of another."""
    with Board.open(bench.port, guard=bench.guard) as board:
        said = board.identity()
    identity = Identity(said.instance_id, said.key, said.implementation_id, said.boot_digest)
    wanted = bench.bundle.bundle.board
    if identity.board != wanted:
        raise RefusedError(
            f"{bench.unit.name}: wrong board: it is {identity.board}, the bundle is for {wanted}",
            "put the unit into the group of its board, or plug in the right one",
        )
    expected = bench.bundle.references.boot
    if identity.boot_digest != expected:
        raise RefusedError(
            f"{bench.unit.name}: wrong boot: the board's is not the bundle's "
            f"({identity.boot_digest.hex()[:16]}..., not {expected.hex()[:16]}...)",
            "build the bundle with the boot that the board has, or write boot anew: coffret flash",
        )
    bound = bench.unit.instance_id
    if bound is not None and bound != identity.instance_id:
        raise RefusedError(
            f"{bench.unit.name}: another board was provisioned with the serial number "
            f"{bench.unit.serial}",
            "find out which is the copy; coffret fleet retire the unit to start with a new board",
        )
    return {"device": identity.instance_id.hex()}


def write_image(bench: Bench) -> Result:
    """The board runs the bundle's image, confirmed."""
    bundle = bench.bundle.bundle
    done = flash(bench.port, bundle, bench.say, bench.progress, bench.guard, bench.deltas)
    return done.to_json()


def give_settings(bench: Bench) -> Result:
    """The board holds the settings of its line in the CSV file: before it is secured."""
    if not bench.unit.settings:
        return {}
    return {"changed": settings.give(bench.port, bench.unit.settings, bench.guard)}


def endorse(bench: Bench) -> Result:
    """The board proved its identity; the operator endorsed it; the inventory and the board know."""
    records = LeasedRecords(
        Units(bench.inventory), bench.held, key_hash(bench.operator.public_key())
    )
    done = provision.endorse(
        bench.port, bench.operator, records, bench.unit.name, bench.say, bench.guard
    )
    # A board that was known before it was in a fleet has its endorsement, and no unit yet.
    device = records.device(bytes.fromhex(done.device))
    assert device is not None
    identity = Identity(
        device.instance_id, device.identity_key, device.implementation_id, device.boot_digest
    )
    records.add_device(identity, device.endorsement, bench.unit.name)
    return done.to_json()


def secure(bench: Bench) -> Result:
    """The lifecycle is secured, and boot has measured it."""
    return {"changed": provision.secure(bench.port, bench.say, bench.guard)}


def appraise(bench: Bench) -> Result:
    """Fresh evidence is as the bundle's reference values want it. Raises UntrustedError."""
    device, verdict = require_trusted(
        bench.port,
        bench.unit.name,
        bench.inventory,
        bench.operator.public_key(),
        bench.bundle.references,
        bench.guard,
    )
    if bench.unit.instance_id not in (None, device):
        raise UntrustedError(bench.unit.name, "it answers as another device of the inventory")
    return {"verdict": verdict.verdict, "device": device.hex()}


def print_label(bench: Bench) -> Result:
    """The label lies in the folder for labels, if there is one."""
    if bench.labels is None:
        return {}
    found = Units(bench.inventory).unit(bench.unit.serial)
    assert found is not None
    assert found.instance_id is not None
    path = Path(bench.labels.replace("*", bench.unit.name))
    label.save(path, found.instance_id, bench.unit.name, bench.unit.board)
    return {"label": str(path)}


STEPS: dict[str, dict[str, Callable[[Bench], Result]]] = {
    "provision": {
        "check": check_board,
        "image": write_image,
        "settings": give_settings,
        "endorse": endorse,
        "secure": secure,
        "attest": appraise,
        "label": print_label,
    },
    "update": {"check": check_board, "image": write_image, "attest": appraise},
    "attest": {"attest": appraise},
}


def permanent(error: CoffretError) -> bool:
    """Whether trying again cannot help: the board, or its owner's file, said no."""
    return error.exit_code in (NO, USAGE)
