# SPDX-License-Identifier: Apache-2.0
"""The DICE oracle against the values that open-dice publishes for its own tests.

Source: open-dice, include/dice/known_test_values.h (cases ZeroInput and HashOnlyInput; the CDIs,
and from the P-256 CBOR certificates issuer, subject, subject public key and signature). Those use
SHA-512 and 64-byte inputs, so the same code runs here with that hash.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from simulated_device import GOOD, digest, private_key

from attest import certificate, dice, p256
from attest.errors import CertificateError
from enclaves import cbor, cose

SHA512 = dice.Hash("sha512", hashes.SHA512())


def fake_input(seed: str, length: int) -> bytes:
    """open-dice's test inputs: SHA-512 of a hash whose first eight bytes count up."""
    state = bytearray(hashlib.sha512(seed.encode()).digest())
    output = b""
    while len(output) < length:
        output += hashlib.sha512(state).digest()
        counter = (int.from_bytes(state[:8], "little") + 1) % (1 << 64)
        state[:8] = counter.to_bytes(8, "little")
    return output[:length]


ZERO = (bytes(32), bytes(32), dice.Inputs(bytes(64), bytes(64), bytes(64), 0))
HASH_ONLY = (
    fake_input("cdi_attest", 32),
    fake_input("cdi_seal", 32),
    dice.Inputs(
        fake_input("code_hash", 64),
        fake_input("inline_config", 64),
        fake_input("authority_hash", 64),
        0,
    ),
)


@pytest.mark.parametrize(
    ("case", "attestation", "sealing"),
    [
        (
            ZERO,
            "fbfc679771342eeacb908659ce49d6b63b4535da2c51433d7f04efa6319e0c19",
            "8ff8b22571325e7defefbfea8df1c9f34bf4d9ee03b75b788219c6b1ef49bdc5",
        ),
        (
            HASH_ONLY,
            "084ef406c69ba74b1e24d062f9ab8a8d89da6e03e4c6b122857cf74fd6a4bee5",
            "90c9a2865df4fa5830643d6caef07c76aeaa15619828f1bda7f74482e2f0ae1e",
        ),
    ],
)
def test_cdis_are_those_of_open_dice(
    case: tuple[bytes, bytes, dice.Inputs], attestation: str, sealing: str
) -> None:
    attest_secret, seal_secret, inputs = case
    assert dice.attestation_cdi(attest_secret, inputs, SHA512).hex() == attestation
    assert dice.sealing_cdi(seal_secret, inputs, SHA512).hex() == sealing


@pytest.mark.parametrize(
    ("case", "issuer", "subject", "public"),
    [
        (
            ZERO,
            "672d0053ae4513fbb3bac8209daeb3e8897681cd",
            "2e75b6e7230c20f2960bde4acf1288d4ab665b9b",
            "4f3b4e82c45ada084589c2197baf1f376eac40e1fd49b0240602aec269541c6b"
            "e7eb4019ab55c66bc88bb8b469ad7ee8589e07d2f8bc888eb311c2df973b1b4a",
        ),
        (
            HASH_ONLY,
            "48603c0052c1cac73cae36c3bdec7c6139885c9d",
            "7c200a55efe7112eca4e026d702c64e9e29cd3e9",
            "fe9db2f92809c3041285dcd3706f221c72b6c44fde93eefdfb6d5718fc8f6f0b"
            "091a19ea107ea938f44533c1665bbcfc0a6e98997288c1ad0e15c2857775000b",
        ),
    ],
)
def test_p256_keys_and_ids_are_those_of_open_dice(
    case: tuple[bytes, bytes, dice.Inputs], issuer: str, subject: str, public: str
) -> None:
    secret, _, inputs = case
    authority = dice.key_pair(secret, SHA512).public_key()
    key = dice.key_pair(dice.attestation_cdi(secret, inputs, SHA512), SHA512).public_key()
    assert dice.key_id(authority, SHA512) == issuer
    assert dice.key_id(key, SHA512) == subject
    assert p256.xy(key).hex() == public


def test_open_dice_p256_certificate_verifies_under_the_derived_identity_key() -> None:
    """The published signature covers a payload built here from the derived values alone."""
    secret, _, inputs = ZERO
    authority = dice.key_pair(secret, SHA512).public_key()
    key = dice.key_pair(dice.attestation_cdi(secret, inputs, SHA512), SHA512).public_key()
    payload = cbor.encode(
        {
            certificate.ISSUER: dice.key_id(authority, SHA512),
            certificate.SUBJECT: dice.key_id(key, SHA512),
            certificate.CODE_HASH: inputs.code,
            certificate.CONFIGURATION_DESCRIPTOR: inputs.configuration,
            certificate.AUTHORITY_HASH: inputs.authority,
            certificate.MODE: b"\x00",
            certificate.SUBJECT_PUBLIC_KEY: certificate.cose_key(key),
            certificate.KEY_USAGE: certificate.KEY_CERT_SIGN,
            certificate.PROFILE_NAME: "opendice.example.p256",
        }
    )
    signature = bytes.fromhex(
        "63b532124a18f5a8f0673e7646a5b6b8bffea2eb6f4d5f186903c631ceebaecd"
        "ca93315151cf05b67e8791d05b88f5e393f7bad5d707e3e63fcbf624d2f6c15c"
    )
    message = cbor.encode([bytes.fromhex("a10126"), {}, payload, signature])
    assert len(message) == 503
    cose.verify1(message, authority, tagged=False)


def test_p256_order_is_the_curves() -> None:
    private_key(dice.P256_ORDER - 1)
    with pytest.raises(ValueError):
        private_key(dice.P256_ORDER)


def test_every_input_changes_the_alias_key() -> None:
    base = dice.Inputs(digest("code"), digest("config"), digest("authority"), 1)
    secret = digest("secret")
    variants = [
        base,
        dice.Inputs(digest("CODE"), base.configuration, base.authority, 1),
        dice.Inputs(base.code, digest("CONFIG"), base.authority, 1),
        dice.Inputs(base.code, base.configuration, digest("AUTHORITY"), 1),
        dice.Inputs(base.code, base.configuration, base.authority, 2),
        dice.Inputs(base.code, base.configuration, base.authority, 1, hidden=b"\x01" * 64),
    ]
    cdis = {dice.attestation_cdi(secret, variant) for variant in variants}
    cdis.add(dice.attestation_cdi(digest("other"), base))
    assert len(cdis) == len(variants) + 1


def test_rejected_candidates_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bound below the first candidate, the second one is taken (RFC 6979 3.2 step h)."""
    usual = dice.key_pair(bytes(32)).private_numbers().private_value
    monkeypatch.setattr(dice, "P256_ORDER", usual)
    another = dice.key_pair(bytes(32)).private_numbers().private_value
    assert 1 <= another < usual


GOLDEN = {
    "cdi": "67a459f29cd253336c3c66529acd7492ca75015a6c5f1dc1ee05b6b01dd405c6",
    "identity": "b097f945ad91e16d0c5a4c6fb6583ee9e2116774d908b2b098f14d128c896b3a",
    "identity id": "6eeb21c5bf004434e8b0f3738c1d5a9e20107e86",
    "alias": "a4895fa337ac8cfea59e8569b624bf1f825fed2f13465f757c743bac5b74a62e",
    "alias id": "00650986fcb56751159b3629270407cc255809e6",
}


def test_sha256_values_the_c_code_must_match() -> None:
    """Golden values of the SHA-256 form, for `boot`; made by this oracle once it matched above."""
    inputs = dice.Inputs(
        code=bytes(range(32)),
        configuration=hashlib.sha256(
            dice.configuration_descriptor(b"\x11" * 32, b"\x22" * 32, 7, "mps2-an385")
        ).digest(),
        authority=b"\x33" * 32,
        mode=1,
    )
    cdi = dice.attestation_cdi(b"\xa5" * 32, inputs)
    identity = dice.key_pair(b"\xa5" * 32)
    alias = dice.key_pair(cdi)
    assert {
        "cdi": cdi.hex(),
        "identity": f"{identity.private_numbers().private_value:064x}",
        "identity id": dice.key_id(identity.public_key()),
        "alias": f"{alias.private_numbers().private_value:064x}",
        "alias id": dice.key_id(alias.public_key()),
    } == GOLDEN


def test_certificate_reads_back_what_boot_measured() -> None:
    read = certificate.verify(GOOD.certificate, GOOD.identity.public_key())
    assert (read.image_digest, read.boot_digest, read.policy_digest) == (
        GOOD.image,
        GOOD.boot,
        GOOD.policy,
    )
    assert (read.security_counter, read.board, read.mode) == (GOOD.counter, GOOD.board, 1)
    assert read.signer_id == GOOD.signer_id
    assert p256.xy(read.alias_key) == p256.xy(GOOD.alias.public_key())


def test_certificate_size_is_what_the_handoff_has_room_for() -> None:
    """docs/internals.md and HANDOFF_CERTIFICATE_MAX: 524 bytes at most."""
    descriptor = dice.configuration_descriptor(bytes(32), bytes(32), 0xFFFFFFFF, "b" * 32)
    inputs = dice.Inputs(bytes(32), hashlib.sha256(descriptor).digest(), bytes(32), 1)
    alias = private_key(5).public_key()
    assert len(certificate.issue(private_key(4), alias, inputs, descriptor)) == 524


def test_another_identity_key_is_named() -> None:
    with pytest.raises(CertificateError, match="another key than this device's identity"):
        certificate.verify(GOOD.certificate, private_key(9).public_key())
