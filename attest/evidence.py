# SPDX-License-Identifier: Apache-2.0
"""What a device's evidence says, as values: the claims of RFC 9783 and our own.

`psa_claims` has their keys and reads them, `psa_token` the signed message around them.
"""

from __future__ import annotations

from dataclasses import dataclass

# The components every device lists, in this order; `enclave:NAME` ones follow, and last, where
# the image was built for a radio module, the firmware that this must have.
FIXED_TYPES = ("boot", "runtime", "appliance", "policy")
ENCLAVE_PREFIX = "enclave:"
RADIO = "radio"


@dataclass(frozen=True, slots=True)
class Component:
    """One measured part: `type` is boot, runtime, appliance, policy, enclave:NAME or radio."""

    type: str
    value: bytes  # SHA-256
    signer_id: bytes  # SHA-256 of the signer's SubjectPublicKeyInfo
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How the system is: the image's word.

    `log_digest` is over the log's entries from `log_first` to before `log_next` (`device_log`);
    `counts` has (faults, restarts) of each enclave since boot, in the order of the components.
    """

    log_digest: bytes
    log_first: int
    log_next: int
    counts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class GateUse:
    """What a gate has used: `number` in the flow policy's order, messages in this window, seconds
    left of it (0: the next message begins one).
    """

    number: int
    used: int
    left_s: int


@dataclass(frozen=True, slots=True)
class Subject:
    """The report about one enclave that was asked for.

    `secrecy` and `integrity` are bit masks over the flow policy's tags in their order; `grants` are
    MPU words (base, attributes) of memory beyond its own that it may touch, as the core takes them.
    """

    type: str
    secrecy: int
    integrity: int
    grants: tuple[tuple[int, int], ...]
    gates: tuple[GateUse, ...]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The key that the device has for one verifier (`attest.pairwise`), told to the operator."""

    verifier: bytes  # its id, 32 bytes
    public_key: bytes  # X || Y


@dataclass(frozen=True, slots=True)
class Evidence:
    """The claims of one token. `uptime` is in seconds; `subject` is there if it was asked for.

    `settings` is the SHA-256 of the text of the board's settings (`flasher.settings.encode`), None
    where no enclave reads them.
    """

    nonce: bytes
    instance_id: bytes
    implementation_id: bytes
    boot_seed: bytes
    client_id: int
    lifecycle: int
    components: tuple[Component, ...]
    uptime: int
    boot_count: int
    health: Health
    subject: Subject | None = None
    enrolment: Enrolment | None = None
    settings: bytes | None = None

    @property
    def enclaves(self) -> dict[str, bytes]:
        """Code digest by enclave name."""
        return enclaves(self.components)


def enclaves(components: tuple[Component, ...]) -> dict[str, bytes]:
    """Code digest by enclave name, in the order of the components."""
    return {
        c.type.removeprefix(ENCLAVE_PREFIX): c.value
        for c in components
        if c.type.startswith(ENCLAVE_PREFIX)
    }
