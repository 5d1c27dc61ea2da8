# SPDX-License-Identifier: Apache-2.0
"""Reference values as CoRIM: what a device that runs this bundle must prove.

Structure: draft-ietf-rats-corim-11 (sections 4.1 corim-map, 4.2 signed CoRIM, 5.1 CoMID, 5.1.5
reference triples, 5.1.6 endorsed triples) under the PSA profile of
draft-fdb-rats-psa-endorsements-10, section 3: profile `tag:arm.com,2025:psa#1.0.0`, one
`psa.software-component` measurement per software component, its type in `name`, its signer id in
`cryptokeys`. Slot A and slot B are two reference triples of one environment: either is acceptable.
The appliance's name, version and security counter are one endorsed triple.

Only what `write` and `sign` make is read back; it is deterministic CBOR.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cbor2

from attest import p256
from attest.errors import CorimError
from attest.maps import Fields
from enclaves import cbor, cose

TAG_CORIM = 501
TAG_COMID = 506
TAG_URI = 32
TAG_SVN = 552
TAG_BYTES = 560

PROFILE = "tag:arm.com,2025:psa#1.0.0"
MKEY_COMPONENT = "psa.software-component"
MKEY_APPLIANCE = "coffret.appliance"
VENDOR = "coffret"
CONTENT_TYPE = "application/rim+cbor"
HEADER_CWT_CLAIMS = 15  # RFC 9597
CWT_ISSUER = 1
ALG_SHA256 = "sha-256"

CORIM_ID, CORIM_TAGS, CORIM_PROFILE = 0, 1, 3
COMID_IDENTITY, COMID_TRIPLES = 1, 4
TRIPLES_REFERENCE, TRIPLES_ENDORSED = 0, 1
ENVIRONMENT_CLASS, CLASS_ID, CLASS_VENDOR, CLASS_MODEL = 0, 0, 1, 2
MEASUREMENT_KEY, MEASUREMENT_VALUES = 0, 1
VALUE_VERSION, VALUE_SVN, VALUE_DIGESTS, VALUE_NAME, VALUE_KEYS = 0, 1, 2, 11, 13

MAX_BYTES = 64 * 1024
MAX_TEXT = 64
MAX_COMPONENTS = 32
SLOTS = 2


@dataclass(frozen=True, slots=True)
class ReferenceValues:
    """What the build says a device with this bundle must prove. Digests are SHA-256, 32 bytes."""

    implementation_id: bytes
    board: str
    appliance: str
    version: str
    boot: bytes
    image_a: bytes
    image_b: bytes
    policy: bytes
    runtime: bytes
    enclaves: tuple[tuple[str, bytes], ...]  # (name, code digest), in the manifest's order
    signer_id: bytes  # SHA-256 of the signing key's SubjectPublicKeyInfo
    security_counter: int
    radio: bytes | None = None  # of the firmware that the board's radio module must have

    def __post_init__(self) -> None:
        """Raises CorimError for a digest of another length or a name out of bounds."""
        digests = [self.implementation_id, self.boot, self.image_a, self.image_b, self.policy]
        digests += [self.runtime, self.signer_id, *(digest for _, digest in self.enclaves)]
        digests += [] if self.radio is None else [self.radio]
        if any(len(digest) != 32 for digest in digests):
            raise CorimError("reference values: a digest or id that is not 32 bytes")
        names = (self.board, self.appliance, self.version, *(name for name, _ in self.enclaves))
        for name in names:
            if not 1 <= len(name) <= MAX_TEXT or not (name.isascii() and name.isprintable()):
                raise CorimError(f"reference values: the name {name!r} is not 1 to 64 of ASCII")
        if len({name for name, _ in self.enclaves}) != len(self.enclaves):
            raise CorimError("reference values: an enclave is named twice")
        if not 0 <= self.security_counter <= 0xFFFFFFFF:
            raise CorimError("reference values: the security counter is not 32 bits")

    def components(self, slot: int) -> tuple[tuple[str, bytes], ...]:
        """(type, digest) of each software component of the image in slot 0 (A) or 1 (B)."""
        return (
            ("boot", self.boot),
            ("runtime", self.runtime),
            ("appliance", (self.image_a, self.image_b)[slot]),
            ("policy", self.policy),
            *((f"enclave:{name}", digest) for name, digest in self.enclaves),
            *(() if self.radio is None else (("radio", self.radio),)),
        )


def reference_values(values: ReferenceValues) -> bytes:
    """The unsigned CoRIM (tag 501) of these reference values; the same values, the same bytes."""
    triples = _triples(values)
    name = identifier(values)
    comid = {COMID_IDENTITY: {0: f"{name}/comid"}, COMID_TRIPLES: triples}
    corim = {
        CORIM_ID: name,
        CORIM_TAGS: [cbor2.CBORTag(TAG_COMID, cbor.encode(comid))],
        CORIM_PROFILE: cbor2.CBORTag(TAG_URI, PROFILE),
    }
    return cbor.encode(cbor2.CBORTag(TAG_CORIM, corim))


def identifier(values: ReferenceValues) -> str:
    """The CoRIM's id, unique by content: another value anywhere is another CoRIM."""
    digest = hashlib.sha256(cbor.encode(_triples(values))).hexdigest()[:32]
    return f"coffret/{values.board}/{values.appliance}/{values.version}/{digest}"


def sign(corim: bytes, key: p256.PrivateKey, issuer: str) -> bytes:
    """Wrap an unsigned CoRIM into a signed one (section 4.2: COSE_Sign1, CWT claims header)."""
    headers: dict[int | str, object] = {
        cose.HEADER_CONTENT_TYPE: CONTENT_TYPE,
        cose.HEADER_KID: p256.key_hash(key.public_key()),
        HEADER_CWT_CLAIMS: {CWT_ISSUER: issuer},
    }
    return cose.sign1(corim, key, headers)


def read(data: bytes, signer: p256.PublicKey | None = None) -> ReferenceValues:
    """Read a CoRIM, signed or not. Raises CorimError.

    With `signer` the CoRIM must be signed by that key. Without it a signature is not looked at:
    use that only for a file you trust for another reason, as one you built yourself.
    """
    if len(data) > MAX_BYTES:
        raise CorimError(f"CoRIM of {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        outer = cbor.decode(data)
        if isinstance(outer, cbor2.CBORTag) and outer.tag == cose.TAG_SIGN1:
            message = cose.read1(data) if signer is None else cose.verify1(data, signer)
            if message.protected.get(cose.HEADER_CONTENT_TYPE) != CONTENT_TYPE:
                raise CorimError("CoRIM: signed, but its content type is not that of a CoRIM")
            outer = cbor.decode(message.payload)
        elif signer is not None:
            raise CorimError("CoRIM: not signed")
        values = _corim(outer)
    except CorimError:
        raise
    except ValueError as error:
        raise CorimError(f"CoRIM: {error}") from error
    return values


def _environment(values: ReferenceValues) -> dict[int, object]:
    return {
        ENVIRONMENT_CLASS: {
            CLASS_ID: cbor2.CBORTag(TAG_BYTES, values.implementation_id),
            CLASS_VENDOR: VENDOR,
            CLASS_MODEL: values.board,
        }
    }


def _triples(values: ReferenceValues) -> dict[int, object]:
    environment = _environment(values)
    return {
        TRIPLES_REFERENCE: [
            [environment, [_measurement(values, *part) for part in values.components(slot)]]
            for slot in range(SLOTS)
        ],
        TRIPLES_ENDORSED: [[environment, [_appliance(values)]]],
    }


def _measurement(values: ReferenceValues, kind: str, digest: bytes) -> dict[int, object]:
    return {
        MEASUREMENT_KEY: MKEY_COMPONENT,
        MEASUREMENT_VALUES: {
            VALUE_DIGESTS: [[ALG_SHA256, digest]],
            VALUE_NAME: kind,
            VALUE_KEYS: [cbor2.CBORTag(TAG_BYTES, values.signer_id)],
        },
    }


def _appliance(values: ReferenceValues) -> dict[int, object]:
    return {
        MEASUREMENT_KEY: MKEY_APPLIANCE,
        MEASUREMENT_VALUES: {
            VALUE_VERSION: {0: values.version},
            VALUE_SVN: cbor2.CBORTag(TAG_SVN, values.security_counter),
            VALUE_NAME: values.appliance,
        },
    }


def _corim(value: object) -> ReferenceValues:
    """The content, checked by writing it again: one value has one CoRIM, and it is this one."""
    fields = Fields(_tagged(value, TAG_CORIM, "CoRIM"), "CoRIM", CorimError)
    fields.text(CORIM_ID, "id", 512)
    profile = _tagged(fields.take(CORIM_PROFILE, "profile"), TAG_URI, "profile")
    if profile != PROFILE:
        raise CorimError(f"CoRIM: the profile is not {PROFILE}")
    tags = fields.array(CORIM_TAGS, "tags", 1)
    fields.end()
    comid = _tagged(tags[0], TAG_COMID, "CoMID")
    if not isinstance(comid, bytes):
        raise CorimError("CoMID: not a byte string")
    values = _comid(cbor.decode(comid))
    if reference_values(values) != cbor.encode(value):
        raise CorimError("CoRIM: has more or other content than a bundle's reference values")
    return values


def _comid(value: object) -> ReferenceValues:
    fields = Fields(value, "CoMID", CorimError)
    fields.take(COMID_IDENTITY, "tag identity")
    triples = Fields(fields.take(COMID_TRIPLES, "triples"), "triples", CorimError)
    fields.end()
    slots = triples.array(TRIPLES_REFERENCE, "reference triples", SLOTS)
    endorsed = triples.array(TRIPLES_ENDORSED, "endorsed triples", 1)
    triples.end()
    if len(slots) != SLOTS:
        raise CorimError("triples: not one reference triple per slot")
    environment, a, signer = _reference(slots[0])
    other_environment, b, _ = _reference(slots[1])
    if environment != other_environment:
        raise CorimError("triples: the slots are for two different devices")
    name, version, counter = _endorsed(endorsed[0])
    return ReferenceValues(
        implementation_id=environment[0],
        board=environment[1],
        appliance=name,
        version=version,
        boot=_digest(a, "boot"),
        image_a=_digest(a, "appliance"),
        image_b=_digest(b, "appliance"),
        policy=_digest(a, "policy"),
        runtime=_digest(a, "runtime"),
        enclaves=tuple(
            (kind.removeprefix("enclave:"), digest)
            for kind, digest in a.items()
            if kind.startswith("enclave:")
        ),
        signer_id=signer,
        security_counter=counter,
        radio=a.get("radio"),
    )


def _triple(value: object) -> tuple[tuple[bytes, str], list[object]]:
    """(implementation id, board) and the measurements of one triple."""
    match value:
        case [dict() as environment, [_, *_] as measurements]:
            pass
        case _:
            raise CorimError("triple: not [environment, [measurement, ...]]")
    fields = Fields(environment, "environment", CorimError)
    kind = Fields(fields.take(ENVIRONMENT_CLASS, "class"), "class", CorimError)
    fields.end()
    identity = _tagged(kind.take(CLASS_ID, "class id"), TAG_BYTES, "class id")
    kind.expect(CLASS_VENDOR, "vendor", VENDOR)
    board = kind.text(CLASS_MODEL, "model", MAX_TEXT)
    kind.end()
    if not isinstance(identity, bytes):
        raise CorimError("class id: not a byte string")
    return (identity, board), list(measurements)


def _reference(value: object) -> tuple[tuple[bytes, str], dict[str, bytes], bytes]:
    """Environment, digest by component type, signer id."""
    environment, measurements = _triple(value)
    if len(measurements) > MAX_COMPONENTS:
        raise CorimError(f"triple: more than {MAX_COMPONENTS} components")
    digests: dict[str, bytes] = {}
    signers: set[bytes] = set()
    for item in measurements:
        kind, digest, signer = _component(item)
        digests[kind] = digest
        signers.add(signer)
    if len(signers) != 1:
        raise CorimError("triple: the components have several signers")
    return environment, digests, signers.pop()


def _component(item: object) -> tuple[str, bytes, bytes]:
    fields = Fields(item, "measurement", CorimError)
    fields.expect(MEASUREMENT_KEY, "key", MKEY_COMPONENT)
    values = Fields(fields.take(MEASUREMENT_VALUES, "values"), "measurement values", CorimError)
    fields.end()
    kind = values.text(VALUE_NAME, "name", MAX_TEXT + len("enclave:"))
    digests = values.array(VALUE_DIGESTS, "digests", 1)
    signer = _tagged(values.array(VALUE_KEYS, "cryptokeys", 1)[0], TAG_BYTES, "signer id")
    values.end()
    match digests[0], signer:
        case [str() as name, bytes() as digest], bytes() if name == ALG_SHA256:
            return kind, digest, signer
    raise CorimError(f"measurement {kind}: not one SHA-256 digest with a signer id")


def _endorsed(value: object) -> tuple[str, str, int]:
    """Name, version and security counter of the appliance."""
    _, measurements = _triple(value)
    fields = Fields(measurements[0], "appliance", CorimError)
    fields.expect(MEASUREMENT_KEY, "key", MKEY_APPLIANCE)
    values = Fields(fields.take(MEASUREMENT_VALUES, "values"), "appliance", CorimError)
    version = Fields(values.take(VALUE_VERSION, "version"), "version", CorimError)
    counter = _tagged(values.take(VALUE_SVN, "security version number"), TAG_SVN, "svn")
    if isinstance(counter, bool) or not isinstance(counter, int):
        raise CorimError("appliance: the security version number is not an integer")
    return values.text(VALUE_NAME, "name", MAX_TEXT), version.text(0, "version", MAX_TEXT), counter


def _digest(digests: dict[str, bytes], kind: str) -> bytes:
    if kind not in digests:
        raise CorimError(f"triple: no reference value for {kind}")
    return digests[kind]


def _tagged(value: object, tag: int, what: str) -> object:
    if not isinstance(value, cbor2.CBORTag) or value.tag != tag:
        raise CorimError(f"{what}: CBOR tag {tag} is missing")
    content: object = value.value
    return content
