# SPDX-License-Identifier: Apache-2.0
"""What is known of the fleet (`/v1`): reads only, for keys with the right `read`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request

from attest.service import references
from attest.service.access import Right
from attest.service.fleet import LONGEST, Fleet, Group
from attest.service.http import Number, authorise, service_of
from attest.service.problem import ProblemError
from attest.service.schemas import (
    PROBLEMS,
    CountsDocument,
    MemberDocument,
    ReferenceDocument,
    ResultDocument,
)

router = APIRouter(prefix="/v1", tags=["inventory"], responses=PROBLEMS)
Limit = Annotated[int, Query(ge=1, le=LONGEST)]


@router.get("/fleet", response_model=CountsDocument)
def fleet(request: Request) -> dict[str, object]:
    """How many devices have which verdict."""
    return _fleet(request).counts().to_json()


@router.get("/devices", response_model=list[MemberDocument])
def devices(
    request: Request,
    group: Group = Group.ALL,
    search: Annotated[str, Query(max_length=80)] = "",
    start: Number = 0,
    limit: Limit = 50,
) -> list[dict[str, object]]:
    """Devices with the latest word on each."""
    return [each.to_json() for each in _fleet(request).members(group, search, start, limit)]


@router.get("/devices/{device}", response_model=MemberDocument)
def device(request: Request, device: str) -> dict[str, object]:
    """One device, by its name or instance id (hex)."""
    found = _fleet(request).member(device)
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no device {device!r}")
    return found.to_json()


@router.get("/devices/{device}/results", response_model=list[ResultDocument])
def results(
    request: Request,
    device: str,
    before: Annotated[Number | None, Query(description="The id that the page ends before.")] = None,
    limit: Limit = 20,
) -> list[dict[str, object]]:
    """The history of one device, newest first."""
    fleet = _fleet(request)
    found = fleet.member(device)
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no device {device!r}")
    return [each.to_json() for each in fleet.results(found.instance_id, before, limit)]


@router.get("/results/{id}", response_model=ResultDocument)
def result(request: Request, id: Number) -> dict[str, object]:
    """One result."""
    found = _fleet(request).result(id)
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no result {id}")
    return found.to_json()


@router.get("/references", response_model=list[ReferenceDocument])
def reference_values(request: Request) -> list[dict[str, object]]:
    """The reference values that were uploaded, the newest first."""
    authorise(request, service_of(request).gate, Right.READ)
    return [each.to_json() for each in references.listing(service_of(request).engine)]


def _fleet(request: Request) -> Fleet:
    authorise(request, service_of(request).gate, Right.READ)
    return Fleet(service_of(request).engine)
