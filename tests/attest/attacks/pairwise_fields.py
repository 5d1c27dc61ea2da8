# SPDX-License-Identifier: Apache-2.0
"""The fields of what a verifier sees of a pairwise identity, each with another value."""

from __future__ import annotations

from collections.abc import Iterator

from attest import endorsement, p256, pairwise, psa_claims
from tests.attest.attacks.documents import OTHER, PAIRWISE, WORD
from tests.attest.attacks.field import Field, component_fields
from tests.attest.simulated_device import digest, private_key


def token_fields() -> Iterator[Field]:
    kind = endorsement.implementation_id("mps2-an386")
    yield from (
        Field(PAIRWISE, *rest)
        for rest in [
            ("nonce", (psa_claims.NONCE,), bytes(32), "nonce", "another challenge"),
            (
                "instance id",
                (psa_claims.INSTANCE_ID,),
                OTHER.identity_facts.instance_id,
                "endorsement",
                "another pairwise identity",
            ),
            ("client id", (psa_claims.CLIENT_ID,), 3, "caller", "some other part of the device"),
            ("lifecycle", (psa_claims.LIFECYCLE,), 0x6000, "lifecycle", "is decommissioned"),
            (
                "implementation id",
                (psa_claims.IMPLEMENTATION_ID,),
                kind,
                "endorsement",
                "another kind of device",
            ),
            (
                "software components",
                (psa_claims.COMPONENTS,),
                PAIRWISE.payload[psa_claims.COMPONENTS][:-1],
                "enclave:coach",
                "does not list this enclave",
            ),
        ]
    )
    yield Field(
        PAIRWISE,
        "profile",
        (psa_claims.PROFILE,),
        psa_claims.PROFILE_URI,
        "evidence",
        "profile .265. is not",
        fixed=True,
    )
    for number, part in enumerate(PAIRWISE.payload[psa_claims.COMPONENTS]):
        yield from component_fields(PAIRWISE, number, part[psa_claims.COMPONENT_TYPE])


def endorsement_fields() -> Iterator[Field]:
    kind = endorsement.implementation_id("mps2-an386")
    stolen = p256.xy(private_key(77).public_key())
    yield from (
        Field(WORD, name, (key,), forged, claim, why)
        for name, key, forged, claim, why in [
            (
                "verifier",
                pairwise.KEY_VERIFIER,
                pairwise.verifier_id("clinic"),
                "endorsement",
                "for another verifier",
            ),
            (
                "public key",
                pairwise.KEY_PUBLIC,
                stolen,
                "endorsement",
                "another pairwise identity",
            ),
            (
                "implementation id",
                pairwise.KEY_IMPLEMENTATION_ID,
                kind,
                "endorsement",
                "another kind of device",
            ),
            ("boot", pairwise.KEY_BOOT, digest("old boot"), "boot", "boot"),
            ("image", pairwise.KEY_IMAGE, digest("evil"), "appliance", "another image than"),
            ("policy", pairwise.KEY_POLICY, digest("leaky"), "policy", "another flow policy"),
            ("counter", pairwise.KEY_COUNTER, 6, "security counter", "an older image"),
            (
                "signer",
                pairwise.KEY_SIGNER,
                digest("evil"),
                "signing key",
                "another key than the bundle",
            ),
            ("lifecycle", pairwise.KEY_LIFECYCLE, 0x2000, "lifecycle", "in another state"),
            ("issue time", pairwise.KEY_ISSUED, 86_401, "endorsement", "not that of a day"),
        ]
    )
    yield Field(
        WORD, "version", (pairwise.KEY_VERSION,), 2, "endorsement", "version .* is not", fixed=True
    )
