# SPDX-License-Identifier: Apache-2.0
"""What anybody may ask: is it alive, what can it do, with which key does it sign, how is it doing.

`/metrics` says nothing of any device, and is for the network that the monitoring lives in.
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from importlib.metadata import version

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from attest import p256
from attest.service import challenge_api, provisioning_api
from attest.service.client import PAIRWISE
from attest.service.http import run_in_threadpool, service_of

MEDIA_TYPE = "application/vnd.veraison.discovery+json"
router = APIRouter(tags=["discovery"])


@router.get("/.well-known/veraison/verification", response_class=Response)
def verification(request: Request) -> Response:
    """The verification service, as Veraison describes it."""
    service = service_of(request)
    named = service.settings.pairwise
    document = {
        "ear-verification-key": jwk(service.verifier.public_key()),
        "media-types": challenge_api.accepted(service.settings),
        **({} if named is None else {PAIRWISE: named}),
        "version": version("coffret"),
        "service-state": "READY",
        "api-endpoints": {"newChallengeResponseSession": f"{challenge_api.PREFIX}/newSession"},
    }
    return JSONResponse(document, media_type=MEDIA_TYPE)


@router.get("/.well-known/veraison/provisioning", response_class=Response)
def provisioning() -> Response:
    """The provisioning service, as Veraison describes it."""
    kinds = [
        *provisioning_api.CORIM,
        provisioning_api.ENDORSEMENT,
        provisioning_api.FLOW_POLICY,
    ]
    document = {
        "media-types": kinds,
        "version": version("coffret"),
        "service-state": "READY",
        "api-endpoints": {"provisioningSubmit": f"{provisioning_api.PREFIX}/submit"},
    }
    return JSONResponse(document, media_type=MEDIA_TYPE)


@router.get("/healthz", response_class=Response)
async def health(request: Request) -> Response:
    """200 when the store answers."""
    await run_in_threadpool(_ask, service_of(request).engine)
    return JSONResponse({"status": "ok"}, HTTPStatus.OK)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    shown = request.app.state.metrics
    return Response(shown.text(service_of(request).batcher.waiting), media_type=shown.media_type)


def jwk(key: p256.PublicKey) -> dict[str, str]:
    """RFC 7517 and RFC 7518 section 6.2."""
    point = p256.xy(key)
    x, y = (
        base64.urlsafe_b64encode(half).rstrip(b"=").decode("ascii")
        for half in (point[: p256.COORDINATE], point[p256.COORDINATE :])
    )
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y}


def _ask(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.select(1))
