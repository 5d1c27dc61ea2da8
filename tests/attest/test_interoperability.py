# SPDX-License-Identifier: Apache-2.0
"""Other people's tools read what we make, and we read what they make."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

import cbor2
import pycddl  # type: ignore[import-untyped]
import pytest
from simulated_device import (
    GOOD,
    GOOD_ENDORSEMENT,
    OPERATOR,
    REFERENCES,
    SIGNER,
    SimulatedDevice,
    private_key,
)

from attest import certificate, corim, p256, pairwise, psa_claims, psa_token
from attest.errors import AttestError, EvidenceError
from attest.evidence import Enrolment, GateUse, Subject
from enclaves import cbor, cose
from tests.attest.cddl import schema

CWT = "cwt==3.3.0"
PSA_PROFILE = "tag:psacertified.org,2023:psa#tfm"
STRANGER = private_key(99).public_key()
PAYLOAD = cose.read1(GOOD.answer().token).payload

# Runs in an environment of its own, because cwt 3.3 needs cbor2 below 6.
ORACLE = """
import json, sys
from cwt import COSE, COSEKey

def key(parts):
    return COSEKey.new(
        {1: 2, 3: -7, -1: 1, **{int(label): bytes.fromhex(v) for label, v in parts.items()}}
    )

def verify(case):
    try:
        payload = COSE.new().decode(bytes.fromhex(case["message"]), key(case["key"]))
        return payload.hex() if isinstance(payload, bytes) else "not bytes"
    except Exception as error:
        return "refused: " + type(error).__name__

job = json.load(sys.stdin)
made = COSE.new().encode(
    bytes.fromhex(job["sign"]["payload"]),
    key(job["sign"]["key"]),
    protected={"alg": "ES256"},
)
print(json.dumps({"verified": [verify(case) for case in job["verify"]], "signed": made.hex()}))
"""


ADDED = (psa_claims.UPTIME, psa_claims.BOOT_COUNT, psa_claims.HEALTH, psa_claims.SUBJECT)
REPORT = replace(
    GOOD,
    token_changes={
        "subject": Subject("enclave:coach", 1, 0, ((0, 0), (1, 2)), (GateUse(0, 1, 60),))
    },
)


ENROLLED = replace(
    GOOD,
    token_changes={
        "enrolment": Enrolment(
            pairwise.verifier_id("bank"), p256.xy(GOOD.pairwise_key("bank").public_key())
        )
    },
)


SET_UP = replace(GOOD, token_changes={"settings": bytes(32)})


@pytest.mark.parametrize("device", [GOOD, REPORT, ENROLLED, SET_UP])
def test_token_follows_the_cddl_of_its_profile(device: SimulatedDevice) -> None:
    payload = cose.read1(device.answer().token).payload
    schema("evidence").validate_cbor(payload)
    schema("eat").validate_cbor(payload)


def test_but_for_profile_and_added_claims_it_is_the_token_of_rfc_9783() -> None:
    """What RFC 9783 knows has its form; only the profile's name says that more follow."""
    claims = psa_claims.to_map(REPORT.evidence())
    for key in ADDED:
        del claims[key]
    assert claims[psa_claims.PROFILE] != PSA_PROFILE
    claims[psa_claims.PROFILE] = PSA_PROFILE
    schema("psa_token").validate_cbor(cbor.encode(claims))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (psa_claims.NONCE, bytes(31)),
        (psa_claims.INSTANCE_ID, bytes(32)),
        (psa_claims.PROFILE, "other"),
        (psa_claims.CLIENT_ID, "-1"),
        (psa_claims.LIFECYCLE, 0x6100),
        (psa_claims.COMPONENTS, []),
        (psa_claims.UPTIME, -1),
        (psa_claims.BOOT_COUNT, 1 << 32),
        (psa_claims.HEALTH, {}),
        (psa_claims.SUBJECT, {1: "enclave:coach"}),
        (psa_claims.PAIRWISE, {1: bytes(32), 2: bytes(63)}),
        (psa_claims.SETTINGS, bytes(31)),
        (2401, 1),
    ],
)
def test_cddl_and_our_reader_refuse_the_same(key: int, value: object) -> None:
    payload = cbor.encode({**psa_claims.to_map(GOOD.evidence()), key: value})
    with pytest.raises(pycddl.ValidationError):
        schema("evidence").validate_cbor(payload)
    with pytest.raises(EvidenceError):
        psa_token.read(cose.sign1(payload, GOOD.alias))


def test_what_a_verifier_sees_of_a_pairwise_identity_follows_its_cddl() -> None:
    answer = GOOD.pairwise_answer("bank")
    schema("pairwise-token").validate_cbor(cose.read1(answer.token).payload)
    word = cose.read1(answer.endorsement or b"")
    schema("pairwise-endorsement").validate_cbor(word.payload)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (psa_claims.NONCE, bytes(48)),
        (psa_claims.PROFILE, psa_claims.PROFILE_URI),
        (psa_claims.LIFECYCLE, 0x6100),
        (psa_claims.COMPONENTS, []),
        *((extra, value) for extra, value in psa_claims.to_map(REPORT.evidence()).items()
          if extra in (*ADDED, psa_claims.BOOT_SEED)),
    ],
)  # fmt: skip
def test_cddl_and_our_reader_refuse_the_same_of_a_pairwise_token(key: int, value: object) -> None:
    """Each claim of the ordinary token that could tell one device from another, among them."""
    payload = cbor.encode({**GOOD.pairwise_claims("bank"), key: value})
    with pytest.raises(pycddl.ValidationError):
        schema("pairwise-token").validate_cbor(payload)
    with pytest.raises(EvidenceError):
        pairwise.parse(cose.sign1(payload, GOOD.pairwise_key("bank")))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((number, None) for number in range(1, 12)),
        (pairwise.KEY_VERIFIER, bytes(31)),
        (pairwise.KEY_PUBLIC, bytes(65)),
        (pairwise.KEY_COUNTER, 1 << 32),
        (pairwise.KEY_LIFECYCLE, 0x6100),
        (pairwise.KEY_ISSUED, -86_400),
        (12, bytes(33)),
    ],
)
def test_cddl_and_our_reader_refuse_the_same_of_the_operators_word(key: int, value: object) -> None:
    message = cose.read1(GOOD.pairwise_word("bank"))
    said = cbor.decode(message.payload)
    assert isinstance(said, dict)
    payload = cbor.encode({**said, key: value})
    with pytest.raises(pycddl.ValidationError):
        schema("pairwise-endorsement").validate_cbor(payload)
    more = {label: each for label, each in message.protected.items() if label != cose.HEADER_ALG}
    with pytest.raises(AttestError):
        pairwise.read(cose.sign1(payload, OPERATOR, more))


def parts(
    key: p256.PublicKey, private: p256.PrivateKey | None = None, kid: bytes = b""
) -> dict[str, str]:
    """A COSE_Key's values in hex, by label (RFC 9053 section 7.1.1)."""
    point = p256.xy(key)
    values = {"-2": point[:32], "-3": point[32:]}
    if private is not None:
        values["-4"] = private.private_numbers().private_value.to_bytes(32, "big")
    if kid:
        values["2"] = kid
    return {label: value.hex() for label, value in values.items()}


@pytest.fixture(scope="module")
def python_with_cwt() -> Path:
    """The interpreter of an environment with cwt, made on first use in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    cache = Path(base) if base else Path.home() / ".cache"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / "coffret" / f"{CWT.replace('==', '-')}-py{version}"
    python = folder / "bin" / "python"
    if (
        subprocess.run([python, "-c", "import cwt"], check=False).returncode
        if python.exists()
        else 1
    ):
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", CWT], check=True)
    return python


@pytest.mark.all
def test_cwt_verifies_our_documents_and_we_read_the_token_it_signs(python_with_cwt: Path) -> None:
    """Token, certificate (with the tag that cwt needs put before it), endorsement and CoRIM."""
    answer = GOOD.answer()
    signed_corim = corim.sign(corim.reference_values(REFERENCES), SIGNER, "coffret")
    documents = [
        (answer.token, GOOD.alias),
        (b"\xd2" + answer.certificate, GOOD.identity),
        (GOOD_ENDORSEMENT, OPERATOR),
        (signed_corim, SIGNER),
    ]
    good, wrong_key, flipped = [], [], []
    for message, key in documents:
        kid = cose.read1(message).protected.get(cose.HEADER_KID, b"")
        assert isinstance(kid, bytes)
        mine, stranger = parts(key.public_key(), kid=kid), parts(STRANGER, kid=kid)
        good.append({"message": message.hex(), "key": mine})
        wrong_key.append({"message": message.hex(), "key": stranger})
        flipped.append({"message": (message[:-1] + bytes([message[-1] ^ 1])).hex(), "key": mine})
    signing = parts(GOOD.alias.public_key(), GOOD.alias)
    job = {
        "verify": [*good, *wrong_key, *flipped],
        "sign": {"payload": PAYLOAD.hex(), "key": signing},
    }
    result = subprocess.run(
        [python_with_cwt, "-c", ORACLE],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers = json.loads(result.stdout)
    payloads = [cose.read1(message).payload.hex() for message, _ in documents]
    assert answers["verified"][: len(documents)] == payloads
    assert all(a.startswith("refused") for a in answers["verified"][len(documents) :])
    ours = psa_token.verify(bytes.fromhex(answers["signed"]), GOOD.alias.public_key())
    assert ours == GOOD.evidence()


def test_certificate_is_what_open_dice_calls_one() -> None:
    """Fields by number (open-dice, "CBOR CDI Certificates"), read with cbor2 alone."""
    protected, unprotected, payload, signature = cbor2.loads(GOOD.certificate)
    assert (protected, unprotected, len(signature)) == (bytes.fromhex("a10126"), {}, 64)
    fields = cbor2.loads(payload)
    ours = (4670545, 4670547, 4670548, 4670549, 4670551, 4670552, 4670553, 4670554)
    assert list(fields) == [1, 2, *(-label for label in ours)]
    assert fields[certificate.KEY_USAGE] == b"\x20"
