# SPDX-License-Identifier: Apache-2.0
"""Open-DICE derivations, written from the specification as an oracle of the C in `boot`.

Source: *Open Profile for DICE* v2.6 (open-dice, docs/specification.md), sections "Input Values",
"Salt", "Computing CDI Values", "Asymmetric Key Pair Derivation", "ECDSA" and "Deriving
Identifiers"; RFC 5869 for HKDF; RFC 6979 section 3.2 for the private key. That profile has
64-byte inputs; a 32-byte digest is used at its own size, as the Android profile says (open-dice,
docs/android.md, "Hash Algorithms"). `hidden` is no digest and keeps its 64 bytes.

The hash is a parameter only so that the published SHA-512 test values can check this code; the
device uses SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attest import p256
from enclaves import cbor

PROFILE = "coffret.p256.sha256"
ASYM_SALT = bytes.fromhex(
    "63B6A04D2C077FC10F639F21DA793844356CC2B0B441B3A77124035C03F8E1BE"
    "6035D31F282821A7450A02222AB1B3CFF1679B05AB1CA5D1AFFB789CCD2B0B3B"
)
ID_SALT = bytes.fromhex(
    "DBDBAEBC8020DA9FF0DD5A24C83AA5A54286DFC263031E329B4DA148430659FE"
    "62CDB5B7E1E00FC680306711EB444AF77209359496FCFF1DB9520BA51C7B29EA"
)
HIDDEN_NONE = bytes(64)
SECRET_BYTES = 32  # UDS and CDI
ID_BYTES = 20
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# Keys of the configuration descriptor, a deterministic CBOR map.
CONFIG_BOOT = 1
CONFIG_POLICY = 2
CONFIG_COUNTER = 3
CONFIG_BOARD = 4


class Mode(IntEnum):
    """Section "Mode Value Details"."""

    NOT_CONFIGURED = 0
    NORMAL = 1
    DEBUG = 2
    RECOVERY = 3


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash function by its names in hashlib and in `cryptography`."""

    name: str
    algorithm: hashes.HashAlgorithm

    def digest(self, data: bytes) -> bytes:
        return hashlib.new(self.name, data).digest()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.name)


SHA256 = Hash("sha256", hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Inputs:
    """The five measurements of one layer (section "Input Values")."""

    code: bytes
    configuration: bytes  # the input value: here the hash of the descriptor
    authority: bytes
    mode: int
    hidden: bytes = HIDDEN_NONE


def kdf(length: int, secret: bytes, salt: bytes, info: str, function: Hash = SHA256) -> bytes:
    """`KDF(length, ikm, salt, info)` of the profile: HKDF, extract and expand."""
    return HKDF(function.algorithm, length, salt, info.encode("ascii")).derive(secret)


def attestation_cdi(secret: bytes, inputs: Inputs, function: Hash = SHA256) -> bytes:
    """The next Attestation CDI, 32 bytes, from the UDS or the current CDI."""
    measured = (
        inputs.code + inputs.configuration + inputs.authority + bytes([inputs.mode]) + inputs.hidden
    )
    return kdf(SECRET_BYTES, secret, function.digest(measured), "CDI_Attest", function)


def sealing_cdi(secret: bytes, inputs: Inputs, function: Hash = SHA256) -> bytes:
    """The next Sealing CDI, 32 bytes; it does not change when only the software does."""
    measured = inputs.authority + bytes([inputs.mode]) + inputs.hidden
    return kdf(SECRET_BYTES, secret, function.digest(measured), "CDI_Seal", function)


def key_pair(secret: bytes, function: Hash = SHA256) -> p256.PrivateKey:
    """`ASYM_KDF`: the key pair of a UDS or a CDI.

    The seed takes the place of `int2octets(x) || bits2octets(h1)` in RFC 6979 section 3.2 steps b
    to h, which is an HMAC_DRBG; candidates outside 1..n-1 are passed over.
    """
    seed = kdf(SECRET_BYTES, secret, ASYM_SALT, "Key Pair", function)
    size = len(function.digest(b""))
    value, key = b"\x01" * size, b"\x00" * size
    for separator in (b"\x00", b"\x01"):
        key = function.hmac(key, value + separator + seed)
        value = function.hmac(key, value)
    while True:
        value = function.hmac(key, value)  # one block is enough: the hash has at least 256 bits
        candidate = int.from_bytes(value[:32], "big")
        if 1 <= candidate < P256_ORDER:
            return ec.derive_private_key(candidate, ec.SECP256R1())
        key = function.hmac(key, value + b"\x00")
        value = function.hmac(key, value)


def key_id(key: p256.PublicKey, function: Hash = SHA256) -> str:
    """The identifier in certificates: 20 bytes as lower-case hex, the top bit cleared."""
    return key_id_of(p256.xy(key), function)


def key_id_of(point: bytes, function: Hash = SHA256) -> str:
    """The identifier of the key with this point, X || Y."""
    raw = bytearray(kdf(ID_BYTES, point, ID_SALT, "ID", function))
    raw[0] &= 0x7F
    return raw.hex()


def configuration_descriptor(boot: bytes, policy: bytes, counter: int, board: str) -> bytes:
    """What the configuration input is the hash of: our map, see docs/internals.md."""
    return cbor.encode(
        {CONFIG_BOOT: boot, CONFIG_POLICY: policy, CONFIG_COUNTER: counter, CONFIG_BOARD: board}
    )
