# SPDX-License-Identifier: Apache-2.0
"""The claims of a PSA attestation token, written, and read strictly.

Claim keys: RFC 9783 section 4 (registered CWT claims; nonce, ueid, uptime, profile, boot count and
boot seed are RFC 9711's; the negative ones are ours, for private use). `docs/internals.md`,
"Evidence", says which of the optional ones a coffret device sends.
"""

from __future__ import annotations

from functools import lru_cache

from attest import layout, p256
from attest.errors import EvidenceError
from attest.evidence import (
    ENCLAVE_PREFIX,
    FIXED_TYPES,
    RADIO,
    Component,
    Enrolment,
    Evidence,
    GateUse,
    Health,
    Subject,
)
from attest.maps import Fields
from enclaves import cbor

NONCE = 10
INSTANCE_ID = 256
UPTIME = 261
PROFILE = 265
BOOT_COUNT = 267
BOOT_SEED = 268
CLIENT_ID = 2394
LIFECYCLE = 2395
IMPLEMENTATION_ID = 2396
COMPONENTS = 2399
HEALTH = -75001
SUBJECT = -75002
PAIRWISE = -75003
SETTINGS = -75004

COMPONENT_TYPE = 1
COMPONENT_VALUE = 2
COMPONENT_VERSION = 4
COMPONENT_SIGNER = 5
COMPONENT_METHOD = 6

# Derived from RFC 9783's `tag:psacertified.org,2023:psa#tfm` (its section 5.2): the instance id is
# of the DICE identity key, not of the key that signs, and claims were added.
PROFILE_URI = "urn:uuid:8d3f6a52-5c0e-4b7d-9a41-c0ff2e7000a1"
NONCE_SIZES = (32, 48, 64)  # RFC 9783 section 4.1.1
METHOD = "sha-256"
LABEL_BYTES = 8
UINT32 = 0xFFFFFFFF

# Keys within the claims of ours.
HEALTH_LOG, HEALTH_LOG_FIRST, HEALTH_LOG_NEXT, HEALTH_ENCLAVES = 1, 2, 3, 4
SUBJECT_TYPE, SUBJECT_SECRECY, SUBJECT_INTEGRITY, SUBJECT_GRANTS, SUBJECT_GATES = 1, 2, 3, 4, 5
ENROLMENT_VERIFIER, ENROLMENT_KEY = 1, 2
UEID_RAND = 0x01  # RFC 9711 section 4.2.1.1

MAX_COMPONENTS = 32
MAX_TEXT = 64


def read(payload: bytes) -> Evidence:
    """The claims of a token's payload. Raises EvidenceError, which names the claim."""
    evidence = read_usual(payload) or read_any(payload)
    if evidence.instance_id[0] != UEID_RAND:
        raise EvidenceError(f"token: instance id ({INSTANCE_ID}) is not of type RAND")
    listed = len(evidence.components) - (evidence.components[-1].type == RADIO)
    if len(evidence.health.counts) != listed - len(FIXED_TYPES):
        raise EvidenceError(f"token: health ({HEALTH}) is not of each enclave that is listed")
    subject = evidence.subject
    if subject is not None and subject.type.removeprefix(ENCLAVE_PREFIX) not in evidence.enclaves:
        raise EvidenceError(f"token: subject ({SUBJECT}) is no enclave that is listed")
    return evidence


def read_usual(payload: bytes) -> Evidence | None:
    """Quickly, the claims of a usual layout; None: it is another."""
    for usual in _USUAL:
        found = usual.read(payload)
        if found is not None:
            return Evidence(**found)  # type: ignore[arg-type]
    return None


def read_any(payload: bytes) -> Evidence:
    """Field by field. Raises EvidenceError."""
    fields = Fields(decode(payload), "token", EvidenceError)
    fields.expect(PROFILE, "profile", PROFILE_URI)
    evidence = Evidence(
        nonce=fields.data(NONCE, "nonce", *NONCE_SIZES),
        instance_id=fields.data(INSTANCE_ID, "instance id", 33),
        implementation_id=fields.data(IMPLEMENTATION_ID, "implementation id", 32),
        boot_seed=fields.data(BOOT_SEED, "boot seed", 32),
        client_id=client(fields),
        lifecycle=fields.uint(LIFECYCLE, "lifecycle", 0x60FF),
        components=components(fields),
        uptime=fields.uint(UPTIME, "uptime", UINT32),
        boot_count=fields.uint(BOOT_COUNT, "boot count", UINT32),
        health=_health(fields.take(HEALTH, "health")),
        subject=_subject(fields.take(SUBJECT, "subject")) if fields.has(SUBJECT) else None,
        enrolment=_enrolment(fields.take(PAIRWISE, "pairwise")) if fields.has(PAIRWISE) else None,
        settings=fields.data(SETTINGS, "settings", 32) if fields.has(SETTINGS) else None,
    )
    fields.end()
    return evidence


def to_map(evidence: Evidence) -> dict[int, object]:
    """The claims map of `evidence`."""
    health, subject, enrolment = evidence.health, evidence.subject, evidence.enrolment
    asked: dict[int, object] = {} if subject is None else {SUBJECT: _subject_map(subject)}
    if enrolment is not None:
        key = {ENROLMENT_VERIFIER: enrolment.verifier, ENROLMENT_KEY: enrolment.public_key}
        asked[PAIRWISE] = key
    if evidence.settings is not None:
        asked[SETTINGS] = evidence.settings
    return {
        **asked,
        UPTIME: evidence.uptime,
        BOOT_COUNT: evidence.boot_count,
        HEALTH: {
            HEALTH_LOG: health.log_digest,
            HEALTH_LOG_FIRST: health.log_first,
            HEALTH_LOG_NEXT: health.log_next,
            HEALTH_ENCLAVES: [list(pair) for pair in health.counts],
        },
        NONCE: evidence.nonce,
        INSTANCE_ID: evidence.instance_id,
        PROFILE: PROFILE_URI,
        BOOT_SEED: evidence.boot_seed,
        CLIENT_ID: evidence.client_id,
        LIFECYCLE: evidence.lifecycle,
        IMPLEMENTATION_ID: evidence.implementation_id,
        COMPONENTS: [_component_map(c) for c in evidence.components],
    }


def _subject_map(subject: Subject) -> dict[int, object]:
    return {
        SUBJECT_TYPE: subject.type,
        SUBJECT_SECRECY: subject.secrecy.to_bytes(LABEL_BYTES, "little"),
        SUBJECT_INTEGRITY: subject.integrity.to_bytes(LABEL_BYTES, "little"),
        SUBJECT_GRANTS: [list(pair) for pair in subject.grants],
        SUBJECT_GATES: [[gate.number, gate.used, gate.left_s] for gate in subject.gates],
    }


def _component_map(component: Component) -> dict[int, object]:
    version = {} if component.version is None else {COMPONENT_VERSION: component.version}
    return {
        COMPONENT_TYPE: component.type,
        COMPONENT_VALUE: component.value,
        COMPONENT_SIGNER: component.signer_id,
        **version,
    }


def _health(value: object) -> Health:
    fields = Fields(value, "token: health", EvidenceError)
    health = Health(
        log_digest=fields.data(HEALTH_LOG, "log digest", 32),
        log_first=fields.uint(HEALTH_LOG_FIRST, "log start", UINT32),
        log_next=fields.uint(HEALTH_LOG_NEXT, "log end", UINT32),
        counts=_counts(cbor.encode(fields.take(HEALTH_ENCLAVES, "enclaves"))),
    )
    fields.end()
    return health


@lru_cache(maxsize=1024)  # most devices count nothing
def _counts(encoded: bytes) -> tuple[tuple[int, int], ...]:
    return tuple((faults, restarts) for faults, restarts in _rows(decode(encoded), 2))


def _subject(value: object) -> Subject:
    fields = Fields(value, "token: subject", EvidenceError)
    subject = Subject(
        type=fields.text(SUBJECT_TYPE, "type", MAX_TEXT),
        secrecy=int.from_bytes(fields.data(SUBJECT_SECRECY, "secrecy", LABEL_BYTES), "little"),
        integrity=int.from_bytes(
            fields.data(SUBJECT_INTEGRITY, "integrity", LABEL_BYTES), "little"
        ),
        grants=tuple((b, a) for b, a in _rows(fields.take(SUBJECT_GRANTS, "grants"), 2)),
        gates=tuple(GateUse(*row) for row in _rows(fields.take(SUBJECT_GATES, "gates"), 3)),
    )
    fields.end()
    return subject


def _enrolment(value: object) -> Enrolment:
    fields = Fields(value, "token: pairwise", EvidenceError)
    enrolment = Enrolment(
        verifier=fields.data(ENROLMENT_VERIFIER, "verifier", 32),
        public_key=fields.data(ENROLMENT_KEY, "public key", p256.XY_BYTES),
    )
    fields.end()
    return enrolment


def _rows(value: object, width: int) -> list[list[int]]:
    """An array of arrays of `width` numbers of 32 bits each."""
    if not isinstance(value, list) or len(value) > MAX_COMPONENTS:
        raise EvidenceError(f"token: not an array of at most {MAX_COMPONENTS}")
    for row in value:
        if not isinstance(row, list) or len(row) != width:
            raise EvidenceError(f"token: not an array of {width} numbers")
        if any(type(each) is not int or not 0 <= each <= UINT32 for each in row):
            raise EvidenceError("token: not a number of 32 bits")
    return [list(row) for row in value]


def decode(encoded: bytes) -> cbor.Value:
    """Strictly. Raises EvidenceError."""
    try:
        return cbor.decode(encoded)
    except cbor.CborError as error:
        raise EvidenceError(f"token: {error}") from error


def client(fields: Fields) -> int:
    """RFC 9783 section 4.1.2: 32 bits, never 0."""
    client = fields.integer(CLIENT_ID, "client id", -(1 << 31), (1 << 31) - 1)
    if client == 0:
        raise EvidenceError(f"token: client id ({CLIENT_ID}) is 0")
    return client


def components(fields: Fields) -> tuple[Component, ...]:
    """Take the software components of a token. Raises EvidenceError."""
    return _components(cbor.encode(fields.take(COMPONENTS, "software components")))


@lru_cache(maxsize=1024)  # devices with one image list the same ones
def _components(encoded: bytes) -> tuple[Component, ...]:
    """Read the list and check its order, so that each type stands in it exactly once."""
    whole = Fields({COMPONENTS: decode(encoded)}, "token", EvidenceError)
    listed = whole.array(COMPONENTS, "software components", MAX_COMPONENTS)
    components = tuple(_component(number, item) for number, item in enumerate(listed))
    types = [component.type for component in components]
    if tuple(types[: len(FIXED_TYPES)]) != FIXED_TYPES:
        raise EvidenceError(f"token: the components do not begin with {', '.join(FIXED_TYPES)}")
    if types[-1] == RADIO:
        types.pop()
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


def _usual_health(encoded: bytes) -> Health:
    quick = _USUAL_HEALTH.read(encoded)
    return _health(decode(encoded)) if quick is None else Health(**quick)  # type: ignore[arg-type]


# What a token is but for requests for one enclave: of the sizes that our devices send, so that no
# value can be out of range. Everything else is read field by field.
_USUAL_HEALTH = layout.Layout(
    {
        HEALTH_LOG: ("log_digest", layout.data(32)),
        HEALTH_LOG_FIRST: ("log_first", layout.uint()),
        HEALTH_LOG_NEXT: ("log_next", layout.uint()),
        HEALTH_ENCLAVES: ("counts", layout.item(_counts)),
    }
)
_ALWAYS = {
    NONCE: ("nonce", layout.data(32)),
    INSTANCE_ID: ("instance_id", layout.data(33)),
    IMPLEMENTATION_ID: ("implementation_id", layout.data(32)),
    BOOT_SEED: ("boot_seed", layout.data(32)),
    CLIENT_ID: ("client_id", layout.small_negative()),
    LIFECYCLE: ("lifecycle", layout.two_bytes(0x60)),
    COMPONENTS: ("components", layout.item(_components)),
    UPTIME: ("uptime", layout.uint()),
    BOOT_COUNT: ("boot_count", layout.uint()),
    HEALTH: ("health", layout.item(_usual_health)),
}
_USUAL = tuple(
    layout.Layout(_ALWAYS | more, fixed={PROFILE: PROFILE_URI})
    for more in ({}, {SETTINGS: ("settings", layout.data(32))})
)
