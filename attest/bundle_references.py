# SPDX-License-Identifier: Apache-2.0
"""Reference values from a bundle, and whose word they are.

A CoRIM counts for as much as its signer. A bundle of one's own need not be checked to be useful,
but whoever reads a verdict must see whether somebody only put it there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from attest import keys, load_bundle, p256
from attest.corim import ReferenceValues
from boards.errors import CoffretError

SIGNING = "signing"


@dataclass(frozen=True, slots=True)
class BundleReferences:
    """The values, and the key that was seen to have signed them; None: nobody looked."""

    values: ReferenceValues
    signer: p256.PublicKey | None

    def line(self) -> str:
        """For a person."""
        if self.signer is None:
            return (
                "reference values: their signature was NOT checked; "
                "--signing-key FILE checks that the bundle is its signer's"
            )
        return f"reference values: signed by {p256.key_hash(self.signer).hex()[:16]}…"

    def to_json(self) -> dict[str, object]:
        signer = None if self.signer is None else p256.key_hash(self.signer).hex()
        return {"checked": self.signer is not None, "signer": signer}


def read(bundle: Path, signing_key: Path | None, folder: Path | None) -> BundleReferences:
    """The reference values of a bundle folder or CoRIM file. Raises CoffretError.

    With `signing_key` (PEM) they must be that key's. Without, one's own signing key of the key
    `folder` is tried, and what it did not sign is taken unchecked.
    """
    if signing_key is not None:
        signer = keys.load_public(signing_key)
        return BundleReferences(load_bundle(bundle, signer), signer)
    if SIGNING in keys.present(folder):
        own = keys.load(SIGNING, folder).public
        with suppress(CoffretError):  # another's, or none at all: that is said below
            return BundleReferences(load_bundle(bundle, own), own)
    return BundleReferences(load_bundle(bundle), None)
