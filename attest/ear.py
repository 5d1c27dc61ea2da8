# SPDX-License-Identifier: Apache-2.0
"""Verdicts as EAT attestation results (EAR), signed: a JWT or a CWT.

Two dialects. `Dialect.EAR03` is draft-ietf-rats-ear-03: claims `ear_status` and so on, profile
`tag:ietf.org,2026:rats/ear#03`, policy identifiers in a list. `Dialect.VERAISON` is what Veraison's
verifier and its clients speak (draft-fv-rats-ear): claims `ear.status`, one policy identifier, the
evidence's claims beside the result. Numbers in CWT: 6 iat, 10 nonce, 265 profile, 266 submods,
1000 status, 1001 vector, 1003 policy identifiers, 1004 verifier id.

Whoever receives a result reads it with `read_jwt` or `read_cwt`, or with any library.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

import jwt

from attest import ar4si, evidence, explain, p256, psa_claims
from attest.ar4si import Tier
from attest.errors import ResultError
from attest.evidence import Evidence
from attest.maps import Fields
from attest.pairwise import PROFILE_URI as PAIRWISE_PROFILE_URI
from attest.pairwise import Shown
from attest.verdict import Verdict
from enclaves import cbor, cose

MAX_BYTES = 64 * 1024

IAT, NONCE, PROFILE, SUBMODS = 6, 10, 265, 266
STATUS, VECTOR, POLICY_IDS, VERIFIER_ID = 1000, 1001, 1003, 1004
VERAISON_POLICY_CLAIMS = -70001  # "ear.veraison.policy-claims"
DEVELOPER, BUILD = 0, 1  # of the verifier id
EXPLANATION = "coffret.explanation"  # a private claim: text labels need no registration


class Dialect(Enum):
    """How the claims are called and shaped."""

    EAR03 = "ear-03"
    VERAISON = "veraison"

    @property
    def profile(self) -> str:
        """The value of `eat_profile`."""
        if self is Dialect.EAR03:
            return "tag:ietf.org,2026:rats/ear#03"
        return "tag:github.com,2023:veraison/ear"

    @property
    def submod(self) -> str:
        """The name under which the device's result stands: Veraison's is its scheme's."""
        return "coffret" if self is Dialect.EAR03 else "PSA_IOT"

    def label(self, name: str) -> str:
        """A claim of EAR's in JSON: `ear_status` or `ear.status`."""
        return f"ear_{name.replace('-', '_')}" if self is Dialect.EAR03 else f"ear.{name}"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues results: the verifier's key, who made it and which build it is."""

    key: p256.PrivateKey
    developer: str = "coffret"
    build: str = "coffret verifier"
    key_hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_hash", p256.key_hash(self.key.public_key()))


@dataclass(frozen=True, slots=True)
class Result:
    """An attestation result to be signed. `issued` is seconds since 1970, UTC.

    `token` is the evidence it is about, None when that could not be parsed.
    """

    verdict: Verdict
    nonce: bytes
    issued: int
    token: Evidence | Shown | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A verified result, as a relying party needs it."""

    status: Tier
    vector: Mapping[str, int]
    policies: tuple[str, ...]
    nonce: bytes
    issued: int
    profile: str


def to_jwt(result: Result, issuer: Issuer, dialect: Dialect = Dialect.EAR03) -> str:
    """The result as a signed JWT (ES256)."""
    headers = {"kid": issuer.key_hash.hex()}
    return jwt.encode(claims_json(result, issuer, dialect), issuer.key, "ES256", headers)


def to_cwt(result: Result, issuer: Issuer, dialect: Dialect = Dialect.EAR03) -> bytes:
    """The result as a signed CWT (COSE_Sign1, tag 18, ES256)."""
    headers: dict[int | str, object] = {cose.HEADER_KID: issuer.key_hash}
    return cose.sign1(cbor.encode(claims_cbor(result, issuer, dialect)), issuer.key, headers)


def claims_json(result: Result, issuer: Issuer, dialect: Dialect) -> dict[str, Any]:
    """The claims set of the JWT."""
    verdict = result.verdict
    policies = [verdict.policy] if verdict.policy else []
    appraisal: dict[str, Any] = {
        dialect.label("status"): ar4si.status(verdict).name.lower(),
        dialect.label("trustworthiness-vector"): {
            facet.label: value for facet, value in ar4si.vector(verdict).items()
        },
    }
    told = explain.explain(verdict).to_json()
    if dialect is Dialect.EAR03:
        appraisal |= {"ear_appraisal_policy_ids": policies} if policies else {}
        appraisal[EXPLANATION] = told
    else:
        appraisal |= {"ear.appraisal-policy-id": policies[0]} if policies else {}
        if result.token is not None:
            appraisal["ear.veraison.annotated-evidence"] = annotated(result.token)
        appraisal["ear.veraison.policy-claims"] = {EXPLANATION: told}
    return {
        "eat_profile": dialect.profile,
        "iat": result.issued,
        dialect.label("verifier-id"): {"developer": issuer.developer, "build": issuer.build},
        "eat_nonce": _base64url(result.nonce),
        "submods": {dialect.submod: appraisal},
    }


def claims_cbor(result: Result, issuer: Issuer, dialect: Dialect) -> dict[int, Any]:
    """The claims set of the CWT."""
    verdict = result.verdict
    appraisal: dict[int | str, Any] = {
        STATUS: int(ar4si.status(verdict)),
        VECTOR: {int(facet): value for facet, value in ar4si.vector(verdict).items()},
    }
    if verdict.policy:
        many = dialect is Dialect.EAR03
        appraisal[POLICY_IDS] = [verdict.policy] if many else verdict.policy
    told = explain.explain(verdict).to_json()
    if dialect is Dialect.EAR03:
        appraisal[EXPLANATION] = told
    else:
        appraisal[VERAISON_POLICY_CLAIMS] = {EXPLANATION: told}
    return {
        PROFILE: dialect.profile,
        IAT: result.issued,
        VERIFIER_ID: {DEVELOPER: issuer.developer, BUILD: issuer.build},
        NONCE: result.nonce,
        SUBMODS: {dialect.submod: appraisal},
    }


def annotated(token: Evidence | Shown) -> dict[str, Any]:
    """The evidence's claims under the names, and in the base64, that Veraison gives them.

    A pairwise token's instance id is that of the pairwise identity, and it tells no boot seed.
    """
    named = isinstance(token, Evidence)
    return {
        "eat-profile": psa_claims.PROFILE_URI if named else PAIRWISE_PROFILE_URI,
        "psa-nonce": _base64(token.nonce),
        "psa-instance-id": _base64(token.instance_id),
        "psa-implementation-id": _base64(token.implementation_id),
        **({"psa-boot-seed": _base64(token.boot_seed)} if isinstance(token, Evidence) else {}),
        "psa-client-id": token.client_id,
        "psa-security-lifecycle": token.lifecycle,
        "psa-software-components": _annotated_components(token.components),
    }


@lru_cache(maxsize=256)  # of images; whoever gets the list only writes it down
def _annotated_components(components: tuple[evidence.Component, ...]) -> list[dict[str, str]]:
    return [
        {
            "measurement-type": part.type,
            "measurement-value": _base64(part.value),
            "signer-id": _base64(part.signer_id),
            "measurement-desc": psa_claims.METHOD,
            **({} if part.version is None else {"version": part.version}),
        }
        for part in components
    ]


def read_jwt(text: str, verifier: p256.PublicKey) -> Received:
    """Verify a result of ours and read it. Raises ResultError."""
    if len(text) > MAX_BYTES:
        raise ResultError(f"result of {len(text)} characters, at most {MAX_BYTES} are read")
    try:
        # Only ES256, whatever the header says; PyJWT takes no key of another kind for it.
        claims = jwt.decode(
            text, verifier, ["ES256"], options={"verify_aud": False, "require": ["iat"]}
        )
        return _received_json(claims)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"result: {error}") from error


def read_cwt(data: bytes, verifier: p256.PublicKey) -> Received:
    """Verify a result of ours and read it. Raises ResultError."""
    if len(data) > MAX_BYTES:
        raise ResultError(f"result of {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        fields = Fields(cbor.decode(cose.verify1(data, verifier).payload), "result", ResultError)
    except (cose.CoseError, cbor.CborError) as error:
        raise ResultError(f"result: {error}") from error
    dialect = _dialect(fields.take(PROFILE, "profile"))
    submods = Fields(fields.take(SUBMODS, "submods"), "submods", ResultError)
    appraisal = Fields(submods.take(dialect.submod, "appraisal"), "appraisal", ResultError)
    policies: object = []
    if appraisal.has(POLICY_IDS):
        policies = appraisal.take(POLICY_IDS, "policies")
    named = Fields(appraisal.take(VECTOR, "vector"), "vector", ResultError)
    vector = {
        facet.label: named.integer(int(facet), facet.label, -128, 127)
        for facet in ar4si.Facet
        if named.has(int(facet))
    }
    return Received(
        status=_tier(appraisal.uint(STATUS, "status", 127)),
        vector=vector,
        policies=_policies(policies),
        nonce=fields.data(NONCE, "nonce"),
        issued=fields.uint(IAT, "issue time", 1 << 53),
        profile=dialect.profile,
    )


def _received_json(claims: dict[str, Any]) -> Received:
    fields = Fields(claims, "result", ResultError)
    dialect = _dialect(fields.take("eat_profile", "profile"))
    submods = Fields(fields.take("submods", "submods"), "submods", ResultError)
    appraisal = Fields(submods.take(dialect.submod, "appraisal"), "appraisal", ResultError)
    policies: object = []
    name = dialect.label(
        "appraisal-policy-ids" if dialect is Dialect.EAR03 else "appraisal-policy-id"
    )
    if appraisal.has(name):
        policies = appraisal.take(name, "policies")
    status = appraisal.text(dialect.label("status"), "status", 32).upper()
    if status not in Tier.__members__:
        raise ResultError("result: the status is no tier")
    named = Fields(
        appraisal.take(dialect.label("trustworthiness-vector"), "vector"), "vector", ResultError
    )
    return Received(
        status=Tier[status],
        vector={
            facet.label: named.integer(facet.label, facet.label, -128, 127)
            for facet in ar4si.Facet
            if named.has(facet.label)
        },
        policies=_policies(policies),
        nonce=_from_base64url(fields.text("eat_nonce", "nonce", 128)),
        issued=fields.uint("iat", "issue time", 1 << 53),
        profile=dialect.profile,
    )


def _dialect(profile: object) -> Dialect:
    for dialect in Dialect:
        if profile == dialect.profile:
            return dialect
    raise ResultError("result: another profile than those of EAR that this program knows")


def _tier(value: int) -> Tier:
    try:
        return Tier(value)
    except ValueError as error:
        raise ResultError("result: the status is no tier") from error


def _policies(value: object) -> tuple[str, ...]:
    many = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in many):
        raise ResultError("result: a policy identifier that is not text")
    return tuple(many)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise ResultError("result: the nonce is not base64url") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
