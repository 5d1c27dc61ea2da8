# SPDX-License-Identifier: Apache-2.0
"""Keys, evidence, endorsements, reference values and their appraisal.

What other packages call:

    inventory = open_inventory()
    identity = Identity(instance_id, identity_key, implementation_id, boot_digest)
    endorsement = endorse(identity, operator.private, inventory, name="kitchen")

    nonce = new_challenge(inventory)
    response = Response(token, certificate)            # as SMP group 64 answers
    verdict = attest(response, nonce, inventory, operator.public, load_bundle(folder))

`attest` uses the nonce up, appraises and records. `appraise` is the pure function beneath it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from attest.appraisal import Challenge, Claim, Expectations, NonceState, Outcome, Verdict, appraise
from attest.corim import ReferenceValues, reference_values
from attest.endorsement import Identity
from attest.errors import AttestError
from attest.flows import EMPTY, FlowBook
from attest.policy import DEFAULT, Policy
from attest.response import Response

if TYPE_CHECKING:
    from attest.inventory import DeviceRecords, Inventory
    from attest.p256 import PrivateKey, PublicKey

__all__ = [
    "DEFAULT",
    "EMPTY",
    "AttestError",
    "Challenge",
    "Claim",
    "Expectations",
    "FlowBook",
    "Identity",
    "NonceState",
    "Outcome",
    "Policy",
    "ReferenceValues",
    "Response",
    "Verdict",
    "appraise",
    "attest",
    "endorse",
    "load_bundle",
    "load_flows",
    "load_policy",
    "new_challenge",
    "open_inventory",
    "reference_values",
]

CORIM_FILE = "corim.cbor"
FLOWS_FILE = "policy.cbor"


def open_inventory(location: str | None = None) -> Inventory:
    """Open the inventory at a path or URL, or the default one. Raises InventoryError."""
    from attest.inventory import Inventory  # noqa: PLC0415 - SQLAlchemy loads slowly

    return Inventory.open(location)


def new_challenge(inventory: Inventory) -> bytes:
    """A fresh nonce, stored so that it is accepted once."""
    return inventory.issue_nonce()


def endorse(
    identity: Identity,
    operator: PrivateKey,
    inventory: DeviceRecords,
    *,
    name: str | None = None,
) -> bytes:
    """Endorse a device's identity and record it. Returns the endorsement to write to the device.

    Raises InventoryError when another device has the name (nothing is recorded then).
    """
    from attest import endorsement  # noqa: PLC0415

    signed = endorsement.issue(identity, operator, int(time.time()))
    inventory.add_device(identity, signed, name)
    return signed


def attest(
    response: Response,
    nonce: bytes,
    inventory: Inventory,
    operator: PublicKey | None,
    references: ReferenceValues | None,
    policy: Policy = DEFAULT,
    flows: FlowBook = EMPTY,
) -> Verdict:
    """Appraise a device's answer to `nonce`, record the verdict, and use the nonce up.

    The endorsement is the inventory's; one that the response carries counts for nothing here.
    """
    challenge = inventory.challenge(nonce)
    instance_id = response.device()
    device = None if instance_id is None else inventory.device(instance_id)
    endorsement = None if device is None else device.endorsement
    expected = Expectations(challenge, endorsement, operator, references, policy, flows)
    verdict = appraise(response, expected)
    inventory.record(response, verdict, nonce)
    return verdict


def load_bundle(bundle: Path, signer: PublicKey | None = None) -> ReferenceValues:
    """The reference values of a bundle folder (or of a CoRIM file).

    Raises CoffretError when there are none or they are malformed or, with `signer`, not signed by
    that key.
    """
    from attest.corim import read  # noqa: PLC0415
    from boards.errors import NO, USAGE, CoffretError  # noqa: PLC0415

    path = bundle / CORIM_FILE if bundle.is_dir() else bundle
    try:
        return read(path.read_bytes(), signer)
    except OSError as error:
        raise CoffretError(
            f"no reference values in {bundle}: {error.strerror}",
            "name a bundle that coffret build made",
            USAGE,
        ) from error
    except AttestError as error:
        mend = "build the bundle again"
        if signer is not None:
            mend += ", or name the public key of whoever built it"
        raise CoffretError(f"{path}: {error}", mend, NO) from error


def load_policy(path: Path | None) -> Policy:
    """The verifier's policy in a `policy.toml`; the default one for None. Raises CoffretError."""
    from attest import policy_file  # noqa: PLC0415

    return DEFAULT if path is None else policy_file.read(path)


def load_flows(*places: Path) -> FlowBook:
    """The flow policies of these bundle folders and `policy.cbor` files; a CoRIM file has none.

    Raises CoffretError for one that is there and malformed, or that cannot be read.
    """
    from boards.errors import NO, USAGE, CoffretError  # noqa: PLC0415

    documents = []
    for place in places:
        path = place / FLOWS_FILE if place.is_dir() else place
        if path.name == CORIM_FILE:
            continue
        try:
            document = path.read_bytes()
            FlowBook.of([document])
        except FileNotFoundError:
            if place.is_dir():
                continue
            raise CoffretError(f"no file {path}", "name a bundle or a policy.cbor", USAGE) from None
        except OSError as error:
            raise CoffretError(
                f"cannot read {path}: {error.strerror}", "name a bundle or a policy.cbor", USAGE
            ) from error
        except AttestError as error:
            raise CoffretError(f"{path}: {error}", "build the bundle again", NO) from error
        documents.append(document)
    return FlowBook.of(documents)
