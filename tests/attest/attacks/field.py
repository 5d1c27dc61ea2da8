# SPDX-License-Identifier: Apache-2.0
"""A field of a document, and those that both kinds of token have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attest import psa_claims
from tests.attest.attacks.documents import Document, Path
from tests.attest.attacks.raw import at
from tests.attest.simulated_device import digest


@dataclass(frozen=True)
class Field:
    """A field, at `path`, and another value that could stand there.

    `claim` and `why` say who refuses that value when the right key has signed it; `claim` None is
    for what a device only tells (its uptime, say), where any value of the type is its own word.
    """

    document: Document
    name: str
    path: Path
    forged: object
    claim: str | None
    why: str = ""
    fixed: bool = False  # only one value may stand there
    optional: bool = False

    @property
    def value(self) -> Any:
        return at(self.document.payload, self.path)

    def __str__(self) -> str:
        return f"{self.document.name}: {self.name}"


def component_fields(document: Document, number: int, kind: str) -> Iterator[Field]:
    at: Path = (psa_claims.COMPONENTS, number)
    wrong_type = (
        ("policy", "do not begin with") if number < 3 else ("enclave:", "begin with|unknown")
    )
    lies = "the token says|other code"
    version = ("appliance", "another version") if kind == "appliance" else (None, "")
    yield from (
        Field(
            document,
            "type of " + kind,
            (*at, psa_claims.COMPONENT_TYPE),
            wrong_type[0],
            "evidence",
            wrong_type[1],
        ),
        Field(
            document,
            "value of " + kind,
            (*at, psa_claims.COMPONENT_VALUE),
            digest("evil"),
            kind,
            lies,
        ),
        Field(
            document,
            "version of " + kind,
            (*at, psa_claims.COMPONENT_VERSION),
            "9.9.9",
            *version,
            optional=True,
        ),
        Field(
            document,
            "signer of " + kind,
            (*at, psa_claims.COMPONENT_SIGNER),
            digest("evil"),
            "signing key",
            "another key than the bundle",
        ),
        Field(
            document,
            "method of " + kind,
            (*at, psa_claims.COMPONENT_METHOD),
            "sha-1",
            "evidence",
            "measurement description .6. is not",
            fixed=True,
            optional=True,
        ),
    )
