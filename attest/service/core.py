# SPDX-License-Identifier: Apache-2.0
"""The service as an object: what all of its parts share in one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

from attest import keys, load_policy, p256
from attest.ear import Dialect, Issuer
from attest.inventory import Inventory
from attest.service.access import Gate
from attest.service.appraiser import Appraiser
from attest.service.batch import Batcher
from attest.service.references import ReferenceBook
from attest.service.session import Sealer, derive
from attest.service.settings import Settings

VERIFIER = "verifier"
LOG = "log"


@dataclass(frozen=True, slots=True)
class Service:
    """One worker's parts. `operator` and `signer` are public keys, None if nobody named them."""

    settings: Settings
    inventory: Inventory
    verifier: p256.PrivateKey
    log_key: p256.PrivateKey  # of the transparency log's heads
    operator: p256.PublicKey | None
    signer: p256.PublicKey | None
    gate: Gate
    sealer: Sealer
    references: ReferenceBook
    batcher: Batcher
    page_key: bytes  # for the cookies of the page

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Read the keys and open the inventory. Raises CoffretError."""
        inventory = Inventory.open(settings.inventory)
        verifier = keys.load_or_create(VERIFIER, settings.keys).private
        operator = _public(settings, "operator")
        book = ReferenceBook(inventory.engine)
        appraiser = Appraiser(
            operator,
            book,
            load_policy(settings.policy),
            Issuer(verifier),
            Dialect(settings.dialect),
            settings.pairwise,
        )
        notify = settings.webhook is not None
        return cls(
            settings=settings,
            inventory=inventory,
            verifier=verifier,
            log_key=keys.load_or_create(LOG, settings.keys).private,
            operator=operator,
            signer=_public(settings, "signing"),
            gate=Gate(inventory.engine),
            sealer=Sealer(verifier),
            references=book,
            batcher=Batcher(inventory.engine, appraiser, notify=notify),
            page_key=derive(verifier, b"coffret page 1"),
        )

    @property
    def engine(self) -> sa.Engine:
        return self.inventory.engine


def _public(settings: Settings, role: str) -> p256.PublicKey | None:
    """The public key of `role`: the file that the settings name, or one's own key."""
    path = settings.operator_key if role == "operator" else settings.signing_key
    if path is not None:
        return keys.load_public(path)
    if role in keys.present(settings.keys):
        return keys.load(role, settings.keys).public
    return None
