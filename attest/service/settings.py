# SPDX-License-Identifier: Apache-2.0
"""Everything a worker of the service needs to know, as one value that a process can be handed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SESSION_LIFETIME = 300  # seconds a device has to answer
MAX_AGE = 3600  # seconds after which a device that does not report is unknown


@dataclass(frozen=True, slots=True)
class Tls:
    """A server certificate; with `client_ca`, clients must show a certificate of that CA."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where changes of verdict go, and the file with the secret that signs them."""

    url: str
    secret: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs. Times in seconds.

    `pairwise` is the name by which the operators of devices know this service, if it takes
    pairwise identities; it takes no others then.
    """

    inventory: str | None = None
    keys: Path | None = None
    operator_key: Path | None = None
    signing_key: Path | None = None
    policy: Path | None = None
    pairwise: str | None = None
    dialect: str = "veraison"  # of the signed results: attest.ear.Dialect
    session_lifetime: int = SESSION_LIFETIME
    max_age: int = MAX_AGE
    tls: Tls | None = None
    webhook: Webhook | None = None
