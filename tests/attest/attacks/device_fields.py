# SPDX-License-Identifier: Apache-2.0
"""The fields of what a device shows that names itself, each with another value."""

from __future__ import annotations

from collections.abc import Iterator

from attest import certificate, dice, endorsement, p256, pairwise, psa_claims
from tests.attest.attacks.documents import CERTIFICATE, ENDORSED, OTHER, TOKEN, Path
from tests.attest.attacks.field import Field, component_fields
from tests.attest.simulated_device import GOOD, digest, private_key


def token_fields() -> Iterator[Field]:
    other = OTHER.identity_facts
    kind = endorsement.implementation_id("mps2-an386")
    yield from (
        Field(TOKEN, *rest)
        for rest in [
            ("nonce", (psa_claims.NONCE,), bytes(32), "nonce", "another challenge"),
            (
                "instance id",
                (psa_claims.INSTANCE_ID,),
                other.instance_id,
                "endorsement",
                "for another device",
            ),
            ("uptime", (psa_claims.UPTIME,), 1, None),
            ("boot count", (psa_claims.BOOT_COUNT,), 1, None),
            ("boot seed", (psa_claims.BOOT_SEED,), bytes(32), None),
            ("client id", (psa_claims.CLIENT_ID,), 3, "caller", "some other part of the device"),
            ("lifecycle", (psa_claims.LIFECYCLE,), 0x6000, "lifecycle", "is decommissioned"),
            (
                "implementation id",
                (psa_claims.IMPLEMENTATION_ID,),
                kind,
                "board",
                "another kind of device",
            ),
            (
                "software components",
                (psa_claims.COMPONENTS,),
                TOKEN.payload[psa_claims.COMPONENTS][:-1],
                "evidence",
                "not of each enclave",
            ),
            (
                "health",
                (psa_claims.HEALTH,),
                {**TOKEN.payload[psa_claims.HEALTH], psa_claims.HEALTH_ENCLAVES: [[9, 9], [0, 0]]},
                "faults",
                "fails more often",
            ),
            ("log digest", (psa_claims.HEALTH, psa_claims.HEALTH_LOG), bytes(32), None),
            ("log start", (psa_claims.HEALTH, psa_claims.HEALTH_LOG_FIRST), 1, None),
            ("log end", (psa_claims.HEALTH, psa_claims.HEALTH_LOG_NEXT), 1, None),
            (
                "fault counts",
                (psa_claims.HEALTH, psa_claims.HEALTH_ENCLAVES),
                [[4, 4], [0, 0]],
                "faults",
                "fails more often",
            ),
            (
                "subject's type",
                (psa_claims.SUBJECT, psa_claims.SUBJECT_TYPE),
                "enclave:spy",
                "evidence",
                "no enclave that is listed",
            ),
            ("subject's secrecy", (psa_claims.SUBJECT, psa_claims.SUBJECT_SECRECY), bytes(8), None),
            (
                "subject's integrity",
                (psa_claims.SUBJECT, psa_claims.SUBJECT_INTEGRITY),
                b"8" * 8,
                None,
            ),
            ("subject's grants", (psa_claims.SUBJECT, psa_claims.SUBJECT_GRANTS), [[1, 1]], None),
            ("subject's gates", (psa_claims.SUBJECT, psa_claims.SUBJECT_GATES), [[0, 0, 0]], None),
            (
                "enrolment's verifier",
                (psa_claims.PAIRWISE, psa_claims.ENROLMENT_VERIFIER),
                pairwise.verifier_id("clinic"),
                None,  # whoever asked for it compares it, before anything is endorsed
            ),
            (
                "enrolment's key",
                (psa_claims.PAIRWISE, psa_claims.ENROLMENT_KEY),
                p256.xy(private_key(77).public_key()),
                None,
            ),
        ]
    )
    yield Field(
        TOKEN,
        "subject",
        (psa_claims.SUBJECT,),
        {**TOKEN.payload[psa_claims.SUBJECT], psa_claims.SUBJECT_TYPE: "enclave:nobody"},
        "evidence",
        "no enclave that is listed",
        optional=True,
    )
    yield Field(
        TOKEN,
        "enrolment",
        (psa_claims.PAIRWISE,),
        {**TOKEN.payload[psa_claims.PAIRWISE], psa_claims.ENROLMENT_VERIFIER: bytes(32)},
        None,
        optional=True,
    )
    yield Field(
        TOKEN,
        "settings",
        (psa_claims.SETTINGS,),
        digest("other settings"),
        "settings",
        "other settings than the policy allows",
        optional=True,
    )
    yield Field(
        TOKEN,
        "profile",
        (psa_claims.PROFILE,),
        "tag:psacertified.org,2023:psa#tfm",
        "evidence",
        "profile .265. is not",
        fixed=True,
    )
    for number, part in enumerate(TOKEN.payload[psa_claims.COMPONENTS]):
        yield from component_fields(TOKEN, number, part[psa_claims.COMPONENT_TYPE])


def certificate_fields() -> Iterator[Field]:
    descriptor: Path = (certificate.CONFIGURATION_DESCRIPTOR,)
    key: Path = (certificate.SUBJECT_PUBLIC_KEY,)
    another = dice.configuration_descriptor(GOOD.boot, digest("any policy"), 7, GOOD.board)
    thief = p256.xy(private_key(77).public_key())
    stolen = certificate.cose_key(private_key(77).public_key())
    yield from (
        Field(CERTIFICATE, *rest)
        for rest in [
            ("issuer", (certificate.ISSUER,), "0" * 40, "certificate", "issued by another key"),
            ("subject", (certificate.SUBJECT,), "0" * 40, "certificate", "subject is not the id"),
            (
                "code hash",
                (certificate.CODE_HASH,),
                digest("evil"),
                "appliance",
                "another image than the bundle's",
            ),
            (
                "configuration hash",
                (certificate.CONFIGURATION_HASH,),
                digest("another"),
                "certificate",
                "hash is not the descriptor's",
            ),
            ("descriptor", descriptor, another, "policy", "another flow policy"),
            (
                "boot digest",
                (*descriptor, dice.CONFIG_BOOT),
                digest("evil"),
                "boot",
                "not the one the operator endorsed",
            ),
            (
                "policy digest",
                (*descriptor, dice.CONFIG_POLICY),
                digest("leaky"),
                "policy",
                "another flow policy",
            ),
            (
                "counter",
                (*descriptor, dice.CONFIG_COUNTER),
                6,
                "security counter",
                "an older image",
            ),
            (
                "board",
                (*descriptor, dice.CONFIG_BOARD),
                "mps2-an386",
                "board",
                "another board name",
            ),
            (
                "authority hash",
                (certificate.AUTHORITY_HASH,),
                digest("evil"),
                "signing key",
                "another key than the bundle",
            ),
            (
                "mode",
                (certificate.MODE,),
                bytes([dice.Mode.DEBUG]),
                "lifecycle",
                "before the device was secured",
            ),
            ("public key", key, stolen, "certificate", "subject is not the id"),
            (
                "X",
                (*key, certificate.KEY_X),
                thief[:32],
                "certificate",
                "no point of P-256",
            ),
            (
                "Y",
                (*key, certificate.KEY_Y),
                thief[32:],
                "certificate",
                "no point of P-256",
            ),
        ]
    )
    yield from (
        Field(CERTIFICATE, name, path, forged, "certificate", f"{name} .* is not", fixed=True)
        for name, path, forged in [
            ("key type", (*key, certificate.KEY_TYPE), 1),
            ("algorithm", (*key, certificate.KEY_ALG), -35),
            ("key operations", (*key, certificate.KEY_OPS), [1]),
            ("curve", (*key, certificate.KEY_CURVE), 2),
            ("key usage", (certificate.KEY_USAGE,), b"\x80"),
            ("profile name", (certificate.PROFILE_NAME,), "android.15"),
        ]
    )


def endorsement_fields() -> Iterator[Field]:
    other = OTHER.identity_facts
    kind = endorsement.implementation_id("mps2-an386")
    yield from (
        Field(ENDORSED, *rest)
        for rest in [
            (
                "instance id",
                (endorsement.KEY_INSTANCE_ID,),
                other.instance_id,
                "endorsement",
                "not the hash of its identity key",
            ),
            (
                "identity key",
                (endorsement.KEY_IDENTITY,),
                other.identity_key,
                "endorsement",
                "not the hash of its identity key",
            ),
            (
                "implementation id",
                (endorsement.KEY_IMPLEMENTATION_ID,),
                kind,
                "endorsement",
                "board .5. is not",
            ),
            (
                "boot digest",
                (endorsement.KEY_BOOT,),
                digest("old boot"),
                "boot",
                "not the one the operator endorsed",
            ),
            ("issue time", (endorsement.KEY_ISSUED,), 1, None),
            ("serial", (endorsement.KEY_SERIAL,), bytes(16), None),
        ]
    )
    yield Field(
        ENDORSED, "version", (endorsement.KEY_VERSION,), 2, "endorsement", "version .* is not",
        fixed=True,
    )  # fmt: skip
    yield Field(
        ENDORSED, "board", (endorsement.KEY_BOARD,), "mps2-an386", "endorsement", "board .* is not",
        fixed=True,
    )  # fmt: skip
