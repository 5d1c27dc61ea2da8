# SPDX-License-Identifier: Apache-2.0
"""The device's evidence: a PSA attestation token (RFC 9783) in COSE_Sign1, read strictly.

Claim keys: RFC 9783 section 4 (registered CWT claims; nonce, ueid and profile are RFC 9711's).
`docs/internals.md`, "Evidence", says which of the optional ones a coffret device sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attest import p256
from attest.errors import EvidenceError
from attest.maps import Fields
from enclaves import cbor, cose

NONCE = 10
INSTANCE_ID = 256
PROFILE = 265
BOOT_SEED = 268
CLIENT_ID = 2394
LIFECYCLE = 2395
IMPLEMENTATION_ID = 2396
COMPONENTS = 2399

COMPONENT_TYPE = 1
COMPONENT_VALUE = 2
COMPONENT_VERSION = 4
COMPONENT_SIGNER = 5
COMPONENT_METHOD = 6

PROFILE_TFM = "tag:psacertified.org,2023:psa#tfm"  # RFC 9783 section 5.2
NONCE_SIZES = (32, 48, 64)  # RFC 9783 section 4.1.1
METHOD = "sha-256"
UEID_RAND = 0x01  # RFC 9711 section 4.2.1.1

MAX_BYTES = 4096
MAX_COMPONENTS = 32
MAX_TEXT = 64

# The components every device lists, in this order; `enclave:NAME` ones follow.
FIXED_TYPES = ("boot", "runtime", "appliance", "policy")
ENCLAVE_PREFIX = "enclave:"


@dataclass(frozen=True, slots=True)
class Component:
    """One measured part: `type` is boot, runtime, appliance, policy or enclave:NAME."""

    type: str
    value: bytes  # SHA-256
    signer_id: bytes  # SHA-256 of the signer's SubjectPublicKeyInfo
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The claims of one token."""

    nonce: bytes
    instance_id: bytes
    implementation_id: bytes
    boot_seed: bytes
    client_id: int
    lifecycle: int
    components: tuple[Component, ...]

    @property
    def enclaves(self) -> dict[str, bytes]:
        """Code digest by enclave name."""
        return {
            c.type.removeprefix(ENCLAVE_PREFIX): c.value
            for c in self.components
            if c.type.startswith(ENCLAVE_PREFIX)
        }


@dataclass(frozen=True, slots=True)
class Token:
    """A parsed token: its claims, which are allegations until `verify` has seen the signature."""

    evidence: Evidence
    message: cose.Sign1

    def verify(self, key: p256.PublicKey) -> Evidence:
        """The claims, signed by this attestation key. Raises EvidenceError."""
        try:
            cose.check1(self.message, key)
        except cose.CoseError as error:
            raise EvidenceError(f"token: {error}") from error
        return self.evidence


def read(token: bytes) -> Evidence:
    """The claims WITHOUT verifying the signature, for instance to find whose it claims to be.

    Raises EvidenceError, which names the claim.
    """
    return parse(token).evidence


def verify(token: bytes, key: p256.PublicKey) -> Evidence:
    """Parse and verify under the attestation key. Raises EvidenceError."""
    return parse(token).verify(key)


def parse(token: bytes) -> Token:
    """Parse once, to verify later. Raises EvidenceError, which names the claim."""
    if len(token) > MAX_BYTES:
        raise EvidenceError(f"token of {len(token)} bytes, at most {MAX_BYTES} are read")
    try:
        message = cose.read1(token)
        payload = cbor.decode(message.payload)
    except ValueError as error:
        raise EvidenceError(f"token: {error}") from error
    if message.protected != {cose.HEADER_ALG: cose.ES256} or message.unprotected:
        raise EvidenceError("token: headers other than the algorithm")
    fields = Fields(payload, "token", EvidenceError)
    fields.expect(PROFILE, "profile", PROFILE_TFM)
    evidence = Evidence(
        nonce=fields.data(NONCE, "nonce", *NONCE_SIZES),
        instance_id=fields.data(INSTANCE_ID, "instance id", 33),
        implementation_id=fields.data(IMPLEMENTATION_ID, "implementation id", 32),
        boot_seed=fields.data(BOOT_SEED, "boot seed", 32),
        client_id=_client(fields),
        lifecycle=fields.uint(LIFECYCLE, "lifecycle", 0x60FF),
        components=_components(fields.array(COMPONENTS, "software components", MAX_COMPONENTS)),
    )
    fields.end()
    if evidence.instance_id[0] != UEID_RAND:
        raise EvidenceError(f"token: instance id ({INSTANCE_ID}) is not of type RAND")
    return Token(evidence, message)


def write(evidence: Evidence, key: p256.PrivateKey) -> bytes:
    """The token a device makes; for simulations and tests of other verifiers."""
    return cose.sign1(cbor.encode(claims(evidence)), key)


def claims(evidence: Evidence) -> dict[int, object]:
    """The claims map of `evidence`."""
    return {
        NONCE: evidence.nonce,
        INSTANCE_ID: evidence.instance_id,
        PROFILE: PROFILE_TFM,
        BOOT_SEED: evidence.boot_seed,
        CLIENT_ID: evidence.client_id,
        LIFECYCLE: evidence.lifecycle,
        IMPLEMENTATION_ID: evidence.implementation_id,
        COMPONENTS: [_component_map(c) for c in evidence.components],
    }


def _component_map(component: Component) -> dict[int, object]:
    version = {} if component.version is None else {COMPONENT_VERSION: component.version}
    return {
        COMPONENT_TYPE: component.type,
        COMPONENT_VALUE: component.value,
        COMPONENT_SIGNER: component.signer_id,
        COMPONENT_METHOD: METHOD,
        **version,
    }


def _client(fields: Fields) -> int:
    """RFC 9783 section 4.1.2: 32 bits, never 0."""
    client = fields.integer(CLIENT_ID, "client id", -(1 << 31), (1 << 31) - 1)
    if client == 0:
        raise EvidenceError(f"token: client id ({CLIENT_ID}) is 0")
    return client


def _components(items: Iterable[object]) -> tuple[Component, ...]:
    """Read the list and check its order, so that each type stands in it exactly once."""
    components = tuple(_component(number, item) for number, item in enumerate(items))
    types = [component.type for component in components]
    if tuple(types[: len(FIXED_TYPES)]) != FIXED_TYPES:
        raise EvidenceError(f"token: the components do not begin with {', '.join(FIXED_TYPES)}")
    for kind in types[len(FIXED_TYPES) :]:
        if not kind.startswith(ENCLAVE_PREFIX) or kind == ENCLAVE_PREFIX:
            raise EvidenceError(f"token: unknown component {kind!r}")
        if types.count(kind) > 1:
            raise EvidenceError(f"token: component {kind!r} is listed twice")
    return components


def _component(number: int, item: object) -> Component:
    fields = Fields(item, f"token: component {number}", EvidenceError)
    kind = fields.text(COMPONENT_TYPE, "type", MAX_TEXT)
    value = fields.data(COMPONENT_VALUE, "value", 32)
    version = None
    if fields.has(COMPONENT_VERSION):
        version = fields.text(COMPONENT_VERSION, "version", MAX_TEXT)
    signer = fields.data(COMPONENT_SIGNER, "signer id", 32)
    if fields.has(COMPONENT_METHOD):
        fields.expect(COMPONENT_METHOD, "measurement description", METHOD)
    fields.end()
    return Component(kind, value, signer, version)
