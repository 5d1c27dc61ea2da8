# SPDX-License-Identifier: Apache-2.0
"""Who built a bundle from what: an in-toto statement with SLSA's provenance, signed.

The file is one line, a DSSE envelope (https://github.com/secure-systems-lab/dsse, protocol.md
version 1.0.2) around an in-toto Statement v1 whose predicate is SLSA Provenance v1
(https://slsa.dev/spec/v1.0/provenance). It is signed by the key that signs the images, says nothing
of time, place or user, and so is the same for everybody who builds the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from firmware.bundle.facts import Facts
    from firmware.image.signer import ImageSigner

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
# No web page of ours stands behind these two names.
BUILD_TYPE = "urn:coffret:build:1"
BUILDER = "urn:coffret:build"


class ProvenanceError(ValueError):
    """Not a provenance file, not signed by that key, or about something else."""


def provenance(facts: Facts, contents: Mapping[str, str], signer: ImageSigner | None) -> bytes:
    """The file for a bundle with these files (SHA-256, hex, by name). None: signed later."""
    payload = json.dumps(_statement(facts, contents), sort_keys=True).encode()
    signatures = []
    if signer is not None:
        signature = signer.sign_digest(hashlib.sha256(_encoded(payload)).digest())
        key = facts.reference.signer_id
        signatures = [{"keyid": key, "sig": base64.b64encode(signature).decode()}]
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": signatures,
    }
    return json.dumps(envelope, sort_keys=True).encode() + b"\n"


def check_provenance(
    data: bytes, contents: Mapping[str, str], key: ec.EllipticCurvePublicKey
) -> None:
    """Raises ProvenanceError unless `key` signed it for exactly these files."""
    try:
        envelope = json.loads(data)
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        raw = base64.b64decode(signature["sig"], validate=True)
        kind = envelope["payloadType"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise ProvenanceError(f"is no DSSE envelope with one signature ({error})") from None
    if kind != PAYLOAD_TYPE:
        raise ProvenanceError(f"has a payload of type {kind!r}")
    try:
        key.verify(raw, _encoded(payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ProvenanceError("is not signed by the key of the images") from None
    try:
        subjects = json.loads(payload)["subject"]
        found = {each["name"]: each["digest"]["sha256"] for each in subjects}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProvenanceError("is no in-toto statement") from None
    if found != dict(contents):
        differing = sorted(set(found.items()) ^ set(contents.items()))
        raise ProvenanceError(f"is about another {differing[0][0]}")


def _encoded(payload: bytes) -> bytes:
    """What is signed (DSSE, section "PAE")."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _statement(facts: Facts, contents: Mapping[str, str]) -> dict[str, object]:
    resolved = [{"name": n, "digest": {"sha256": d}} for n, d in sorted(facts.inputs.items())]
    return {
        "_type": STATEMENT,
        "subject": [{"name": n, "digest": {"sha256": d}} for n, d in sorted(contents.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "appliance": facts.appliance,
                    "version": facts.version,
                    "securityCounter": facts.security_counter,
                    "board": facts.board,
                    "profile": facts.profile,
                },
                "internalParameters": {"switches": facts.switches},
                "resolvedDependencies": [
                    *resolved,
                    {"name": "coffret-runtime", "digest": {"sha256": facts.reference.runtime}},
                ],
            },
            "runDetails": {"builder": {"id": BUILDER, "version": facts.tools}},
        },
    }
