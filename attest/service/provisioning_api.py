# SPDX-License-Identifier: Apache-2.0
"""Reference values and endorsements in (`/endorsement-provisioning/v1`, as Veraison has it).

Everything that is uploaded is signed: a CoRIM by the signing key, an endorsement by the operator's.
The access key only says who brought it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from attest import corim, endorsement
from attest.errors import AttestError
from attest.inventory import InventoryError
from attest.service import references
from attest.service.access import Right
from attest.service.core import Service
from attest.service.http import authorise, body_of, media_type, run_in_threadpool, service_of
from attest.service.logs import note
from attest.service.problem import ProblemError
from attest.service.schemas import PROBLEMS, IdCollection, SubmissionDocument, schema_of

MEDIA_TYPE = "application/vnd.veraison.provisioning-session+json"
CORIM = ("application/rim+cbor", "application/corim-signed+cbor")
ENDORSEMENT = endorsement.CONTENT_TYPE
FLOW_POLICY = "application/vnd.coffret.flow-policy+cbor"
POLICY_MAX = 64 * 1024
PREFIX = "/endorsement-provisioning/v1"

router = APIRouter(prefix=PREFIX, tags=["endorsement-provisioning"], responses=PROBLEMS)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in (*CORIM, ENDORSEMENT, FLOW_POLICY)
        },
    }
}
_IDS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/vnd.veraison.endorsement-id-collection+json": {
                "schema": schema_of(IdCollection)
            }
        },
    }
}


@router.post(
    "/submit",
    response_class=Response,
    responses={
        200: {
            "description": "success or failed, with the reason",
            "content": {MEDIA_TYPE: {"schema": schema_of(SubmissionDocument)}},
        }
    },
    openapi_extra=_BODY,
)
async def submit(
    request: Request,
    name: Annotated[
        str | None, Query(max_length=64, description="Of an endorsement: the device's name.")
    ] = None,
) -> Response:
    """Add a signed CoRIM, a device's endorsement, or the flow policy that a CoRIM names."""
    holder = authorise(request, service_of(request).gate, Right.PROVISION)
    service, kind = service_of(request), media_type(request)
    if kind not in (*CORIM, ENDORSEMENT, FLOW_POLICY):
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"send one of {', '.join((*CORIM, ENDORSEMENT, FLOW_POLICY))}",
        )
    data = await body_of(request, max(corim.MAX_BYTES, POLICY_MAX))
    reason = None
    try:
        await run_in_threadpool(_take, service, kind, data, holder.name, name)
    except AttestError as error:
        reason = str(error)
    except InventoryError as error:
        reason = error.message
    note("upload", kind=kind, by=holder.name, taken=reason is None)
    return _outcome("success" if reason is None else "failed", reason)


@router.post("/activate", status_code=HTTPStatus.NO_CONTENT, openapi_extra=_IDS)
async def activate(request: Request) -> Response:
    """Use CoRIMs again that were withdrawn."""
    return await _switch(request, active=True)


@router.post("/deactivate", status_code=HTTPStatus.NO_CONTENT, openapi_extra=_IDS)
async def deactivate(request: Request) -> Response:
    """Withdraw CoRIMs: devices that run them are no longer trusted."""
    return await _switch(request, active=False)


async def _switch(request: Request, *, active: bool) -> Response:
    holder = authorise(request, service_of(request).gate, Right.PROVISION)
    try:
        ids = IdCollection.model_validate_json(await body_of(request, POLICY_MAX)).corim_ids
    except ValidationError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, 'send {"corim-ids": [ID, ...]}') from None
    engine = service_of(request).engine
    unknown = await run_in_threadpool(references.set_active, engine, ids, active)
    if unknown:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no CoRIM {unknown[0]}")
    note("activated" if active else "withdrawn", corims=ids, by=holder.name)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _take(service: Service, kind: str, data: bytes, by: str, name: str | None) -> None:
    """Raises AttestError or InventoryError; nothing is stored then."""
    now = int(time.time())
    if kind in CORIM:
        if service.signer is None:
            raise AttestError("this service has no signing key to check with: see --signing-key")
        references.add(service.engine, data, service.signer, by, now)
    elif kind == FLOW_POLICY:
        references.add_policy(service.engine, data)
    else:
        if service.settings.pairwise is not None:
            raise AttestError("this service takes pairwise identities: keep what names a device")
        if service.operator is None:
            raise AttestError("this service has no operator key to check with: see --operator-key")
        endorsed = endorsement.verify(data, service.operator)
        service.inventory.add_device(endorsed.identity, data, name)


def _outcome(status: str, reason: str | None = None) -> Response:
    expiry = datetime.fromtimestamp(int(time.time()), UTC).isoformat().replace("+00:00", "Z")
    failure = {} if reason is None else {"failure-reason": reason}
    document = {"status": status, "expiry": expiry, **failure}
    return JSONResponse(document, media_type=MEDIA_TYPE)
