# SPDX-License-Identifier: Apache-2.0
"""A bundle says who made it of what: somebody else's tool reads it, and forgeries are refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from firmware.bundle.folder import Bundle
from firmware.bundle.provenance import ProvenanceError, check_provenance
from tests.firmware.builds import TEST_KEY

OTHER = ec.generate_private_key(ec.SECP256R1())


def of(bundle: Bundle) -> tuple[bytes, dict[str, str]]:
    """The file, and the digests of all others."""
    path = bundle.path("provenance")
    contents = dict(bundle.facts.contents)
    del contents[path.name]
    return path.read_bytes(), contents


def statement(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(data)["payload"]))
    return found


def signed(payload: bytes, key: ec.EllipticCurvePrivateKey, kind: str) -> bytes:
    """An envelope whose signature is right for what it says."""
    said = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = key.sign(said, ec.ECDSA(hashes.SHA256()))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(envelope).encode()


def test_another_implementation_of_dsse_verifies_it(hello: Bundle) -> None:
    data, _ = of(hello)
    document = json.loads(data)
    pem = (hello.folder / "signing.pub.pem").read_text()
    name = document["signatures"][0]["keyid"]
    key = SSlibKey(name, "ecdsa", "ecdsa-sha2-nistp256", {"public": pem})
    envelope = Envelope.from_dict(document)
    assert list(envelope.verify([key], 1)) == [name]
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([key], 1)


def test_it_names_every_file_and_every_input(hello: Bundle) -> None:
    data, contents = of(hello)
    said = statement(data)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert {s["name"]: s["digest"]["sha256"] for s in said["subject"]} == contents
    definition = said["predicate"]["buildDefinition"]
    made_of = {each["name"] for each in definition["resolvedDependencies"]}
    assert made_of == {"micropython", "mbedtls", "hello.py", "coffret-runtime"}
    module = Path(__file__).parents[2] / "examples" / "hello" / "hello.py"
    digest = hashlib.sha256(module.read_bytes()).hexdigest()
    assert {"name": "hello.py", "digest": {"sha256": digest}} in definition["resolvedDependencies"]


def test_it_is_the_same_for_everybody(hello: Bundle) -> None:
    text = json.dumps(statement(of(hello)[0]))
    assert "/root" not in text and str(hello.folder) not in text


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda p: signed(p, OTHER, "application/vnd.in-toto+json"), "not signed by the key"),
        (lambda p: signed(p, TEST_KEY, "text/plain"), "payload of type"),
        (lambda p: signed(p[:-1], TEST_KEY, "application/vnd.in-toto+json"), "no in-toto"),
        (lambda _: signed(b"[]", TEST_KEY, "application/vnd.in-toto+json"), "no in-toto"),
        (lambda _: signed(b"{}", TEST_KEY, "application/vnd.in-toto+json"), "no in-toto"),
        (lambda _: b"", "no DSSE"),
        (lambda _: b"[" * 100_000, "no DSSE"),
        (lambda _: b'{"payload": "AA", "payloadType": 1, "signatures": []}', "no DSSE"),
        (lambda _: b'{"payload": "!", "payloadType": "", "signatures": [{}]}', "no DSSE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "forged",
)
def test_a_forged_one_is_refused(hello: Bundle, forge: Callable[[bytes], bytes], why: str) -> None:
    data, contents = of(hello)
    payload = base64.b64decode(json.loads(data)["payload"])
    with pytest.raises(ProvenanceError, match=why):
        check_provenance(forge(payload), contents, TEST_KEY.public_key())


@pytest.mark.parametrize("name", ["slot_a.bin", "policy.cbor", "elf/slot_b.elf"])
def test_one_about_other_files_is_refused(hello: Bundle, name: str) -> None:
    data, contents = of(hello)
    check_provenance(data, contents, TEST_KEY.public_key())
    for other in ({**contents, name: "0" * 64}, {k: v for k, v in contents.items() if k != name}):
        with pytest.raises(ProvenanceError, match=f"about another {name}"):
            check_provenance(data, other, TEST_KEY.public_key())
