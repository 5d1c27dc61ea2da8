# SPDX-License-Identifier: Apache-2.0
"""Every field of what a verifier is shown, times every way to forge it: a table made by rule.

Three documents reach it of a device that names itself: the token, the certificate of the key that
signed it, and the operator's endorsement. Two reach it of a pairwise identity: the token and the
operator's word on its key. Each field of each stands in `FIELDS` with another value that could be
meant; each way of attacking is one function of a field. Where the attack is on the signature, it is
signed by keys that an attacker can have; where it is on the content, by the right key, so that
nothing but the check of that very field is left to refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attest.response import Response
from tests.attest.attacks import device_fields, pairwise_fields
from tests.attest.attacks.documents import Document, Expected, shown
from tests.attest.attacks.ways import VARIANTS

FIELDS = (
    *device_fields.token_fields(),
    *device_fields.certificate_fields(),
    *device_fields.endorsement_fields(),
    *pairwise_fields.token_fields(),
    *pairwise_fields.endorsement_fields(),
)


@dataclass(frozen=True)
class Case:
    """One attack: what is shown and expected, and the claim that must refuse it, and why."""

    field: str
    variant: str
    document: Document
    message: bytes  # what stands in the document's place in the answer
    response: Response
    expected: Expected
    claim: str
    why: str  # a regular expression

    def __str__(self) -> str:
        return f"{self.field}: {self.variant}"


def cases() -> Iterator[Case]:
    """The whole table."""
    for field in FIELDS:
        for variant in VARIANTS:
            for name, message, claim, why in variant(field):
                answer, expected = shown(field.document, message)
                yield Case(str(field), name, field.document, message, answer, expected, claim, why)
