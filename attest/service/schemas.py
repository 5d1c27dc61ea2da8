# SPDX-License-Identifier: Apache-2.0
"""The documents of the API, for its OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from attest.service.problem import MEDIA_TYPE, ProblemDocument


class EvidenceDocument(BaseModel):
    """Evidence as it was brought."""

    type: str
    value: str = Field(description="base64")


class SessionDocument(BaseModel):
    """A challenge-response session (Veraison's ChallengeResponseSession)."""

    nonce: str = Field(description="base64")
    expiry: str = Field(description="UTC, RFC 3339")
    accept: list[str]
    status: Literal["waiting", "processing", "complete", "failed"]
    evidence: EvidenceDocument | None = None
    result: str | None = Field(None, description="The result, an EAR as a JWT")
    coffret: dict[str, Any] | None = Field(None, description="The verdict in plain words")


class SubmissionDocument(BaseModel):
    """What became of an upload (Veraison's provisioning session)."""

    status: Literal["success", "failed"]
    expiry: str
    failure_reason: str | None = Field(None, alias="failure-reason")


class IdCollection(BaseModel):
    """CoRIMs by id."""

    corim_ids: list[str] = Field(alias="corim-ids", min_length=1, max_length=100)


class CountsDocument(BaseModel):
    """Devices by verdict. `silent` ones are endorsed, but never reported."""

    trusted: int
    untrusted: int
    unknown: int
    silent: int
    total: int


class MemberDocument(BaseModel):
    """A device and the latest word on it. Times are seconds since 1970, UTC."""

    device: str
    name: str | None
    board: str | None
    verdict: Literal["trusted", "untrusted", "unknown"]
    why: str
    since: int | None
    reported: int | None
    appliance: str | None
    version: str | None
    reporter: str | None


class ClaimDocument(BaseModel):
    """One checked statement."""

    claim: str
    expected: str
    found: str
    ok: bool
    why: str


class ResultDocument(BaseModel):
    """One attestation."""

    id: int
    device: str | None
    time: int
    verdict: Literal["trusted", "untrusted", "unknown"]
    claims: list[ClaimDocument]
    nonce: str
    result: str | None
    reporter: str | None


class ReferenceDocument(BaseModel):
    """Reference values that were uploaded."""

    id: str
    board: str
    appliance: str
    version: str
    security_counter: int
    policy: str
    active: bool
    added: int
    added_by: str


_PLACE = "#/components/schemas/{model}"
_, _found = models_json_schema(
    [
        (model, "serialization")
        for model in (ProblemDocument, SessionDocument, SubmissionDocument, IdCollection)
    ],
    ref_template=_PLACE,
)
SCHEMAS: dict[str, Any] = _found["$defs"]


def schema_of(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a document that the framework does not know of itself."""
    return {"$ref": _PLACE.format(model=model.__name__)}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What is wrong, and the mend.",
        "content": {MEDIA_TYPE: {"schema": schema_of(ProblemDocument)}},
    }
}
