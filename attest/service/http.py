# SPDX-License-Identifier: Apache-2.0
"""What every endpoint needs: who asks, a body of bounded length, the service itself."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated, TypeAlias

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from attest.service.access import AccessKey, Gate, Right, digest_of
from attest.service.core import Service
from attest.service.problem import ProblemError

CLIENT_CERTIFICATE = "coffret.client_certificate"  # an ASGI extension: DER, set by `protocol`

Number: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 63)]  # of a row, as databases hold it


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def holder_of(request: Request, gate: Gate) -> AccessKey | None:
    """Who asks: the holder of the bearer key or, with mTLS, of the client certificate."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return gate.holder(digest_of(secret.strip()))
    certificate = request.scope.get("extensions", {}).get(CLIENT_CERTIFICATE)
    return None if certificate is None else gate.holder(hashlib.sha256(certificate).digest())


def authorise(request: Request, gate: Gate, right: Right) -> AccessKey:
    """Who asks, if they may. Raises ProblemError: 401 for nobody, 403 for somebody who may not."""
    holder = holder_of(request, gate)
    if holder is None:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "an access key is needed: `coffret access new` makes one",
            {"WWW-Authenticate": 'Bearer realm="coffret"'},
        )
    if not holder.may(right):
        raise ProblemError(HTTPStatus.FORBIDDEN, f"the access key {holder.name} may not {right}")
    return holder


async def body_of(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises ProblemError without reading more."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > limit:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit} bytes")
    return bytes(parts)


def media_type(request: Request) -> str:
    """The body's media type, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


__all__ = [
    "CLIENT_CERTIFICATE",
    "Number",
    "authorise",
    "body_of",
    "holder_of",
    "media_type",
    "run_in_threadpool",
    "service_of",
]
