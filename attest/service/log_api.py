# SPDX-License-Identifier: Apache-2.0
"""The transparency log over HTTP (`/v1/log`): heads and proofs, as `coffret log verify` reads them.

Heads, and that the log only grew, are for everybody: they hold nothing but hashes, and the more
people look, the sooner a rewritten history is noticed. An entry is for those who may read.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from attest import log
from attest.errors import LogError
from attest.log_source import Wanted, prove
from attest.log_store import Log
from attest.service.access import Right
from attest.service.core import Service
from attest.service.http import authorise, body_of, run_in_threadpool, service_of
from attest.service.problem import ProblemError
from attest.service.schemas import PROBLEMS

PROOF_TYPE = "application/vnd.coffret.log-proof+cbor"
HEAD_MAX = 1024

router = APIRouter(prefix="/v1/log", tags=["transparency log"], responses=PROBLEMS)
_HEAD: dict[int | str, dict[str, Any]] = {
    200: {"description": "a signed tree head", "content": {log.HEAD_TYPE: {}}}
}
_PROOF: dict[int | str, dict[str, Any]] = {
    200: {"description": "a proof, with its heads", "content": {PROOF_TYPE: {}}}
}


@router.get("/head", response_class=Response, responses=_HEAD)
def head(request: Request) -> Response:
    """A signed head over everything so far. Needs no access key."""
    service = service_of(request)
    with service.engine.connect() as connection:
        return Response(Log(connection).head(service.log_key), media_type=log.HEAD_TYPE)


@router.get("/proof/entry/{number}", response_class=Response, responses=_PROOF)
def proof_of_entry(request: Request, number: int) -> Response:
    """That the log has an entry with this number, and which."""
    return _proof(request, Wanted(entry=number))


@router.get("/proof/result/{id}", response_class=Response, responses=_PROOF)
def proof_of_result(request: Request, id: int) -> Response:
    """That the verdict with this id is in the log."""
    return _proof(request, Wanted(result=id))


@router.get("/proof/release/{leaf}", response_class=Response, responses=_PROOF)
def proof_of_release(request: Request, leaf: str) -> Response:
    """That an entry is in the log, by its leaf's hash (RFC 9162, section 2.1.1) in hex."""
    try:
        return _proof(request, Wanted(leaf=bytes.fromhex(leaf)))
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the hash of a leaf, in hex") from None


@router.post(
    "/consistency",
    response_class=Response,
    responses=_PROOF,
    openapi_extra={"requestBody": {"required": True, "content": {log.HEAD_TYPE: {}}}},
)
async def consistency(request: Request) -> Response:
    """That the log only grew since the head in the body. Needs no access key."""
    older = await body_of(request, HEAD_MAX)
    try:
        proof = await run_in_threadpool(_extend, service_of(request), older)
    except LogError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    return Response(proof, media_type=PROOF_TYPE)


def _proof(request: Request, wanted: Wanted) -> Response:
    service = service_of(request)
    authorise(request, service.gate, Right.READ)
    with service.engine.connect() as connection:
        proof = None if _beyond(wanted) else prove(Log(connection), wanted, service.log_key)
    if proof is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "the log has no such entry")
    return Response(log.write_proof(proof), media_type=PROOF_TYPE)


def _beyond(wanted: Wanted) -> bool:
    """Whether no database could have such a number."""
    return any(n is not None and not 0 <= n < 1 << 63 for n in (wanted.entry, wanted.result))


def _extend(service: Service, older: bytes) -> bytes:
    key = service.log_key
    with service.engine.connect() as connection:
        mine = Log(connection)
        return log.write_proof(mine.extend(older, mine.head(key), key.public_key()))
