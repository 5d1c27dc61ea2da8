# SPDX-License-Identifier: Apache-2.0
"""The challenge-response API in the shape that Veraison gave it (`/challenge-response/v1`).

A client of Veraison opens a session, posts evidence to it and reads the result as with Veraison.
The result comes at once: the answer to the evidence has it.

This is the busy part of the service, so it is an ASGI application by itself, before the framework:
routing and checking two parameters took the framework as long as the appraisal takes.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from attest import pairwise
from attest import response as evidence_file
from attest.errors import AttestError
from attest.psa_claims import NONCE_SIZES, PROFILE_URI
from attest.psa_token import MAX_BYTES as TOKEN_MAX
from attest.record import FOREVER, Use, use_nonces
from attest.response import Response as Answered
from attest.service import problem
from attest.service.access import Right
from attest.service.appraiser import Answer
from attest.service.batch import BusyError, UsedError
from attest.service.core import Service
from attest.service.fleet import Fleet, Result
from attest.service.http import authorise, body_of, media_type, run_in_threadpool
from attest.service.metrics import Metrics
from attest.service.problem import ProblemError
from attest.service.session import Session, SessionError
from attest.service.settings import Settings
from attest.tables import NONCES, STANDINGS

MEDIA_TYPE = "application/vnd.veraison.challenge-response-session+json"
EVIDENCE = "application/vnd.coffret.evidence+cbor"  # token and certificate: attest.response
TOKEN_ONLY = ("application/eat-cwt", "application/psa-attestation-token")
# A pairwise token is an EAT of its own profile; the PSA type says that a token names its device.
PAIRWISE_TOKEN_ONLY = TOKEN_ONLY[:1]
ACCEPT = [EVIDENCE, f'{TOKEN_ONLY[0]}; eat_profile="{PROFILE_URI}"', TOKEN_ONLY[1]]
ACCEPT_PAIRWISE = [EVIDENCE, f'{TOKEN_ONLY[0]}; eat_profile="{pairwise.PROFILE_URI}"']
NONCE_DEFAULT = 32
PREFIX = "/challenge-response/v1"
NEW_SESSION = f"{PREFIX}/newSession"
SESSION = f"{PREFIX}/session/"
_SIZES = tuple(map(str, NONCE_SIZES))


def accepted(settings: Settings) -> list[str]:
    """The media types of evidence that the service takes."""
    return ACCEPT if settings.pairwise is None else ACCEPT_PAIRWISE


class ChallengeApi:
    """Answers everything under PREFIX."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ProblemError as error:
            answer = error.response()
        except sa.exc.SQLAlchemyError as error:
            answer = problem.no_store(error)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, method = request.scope["path"], request.method
        if path == NEW_SESSION:
            if method == "POST":
                return self._new_session(request)
            raise _not_allowed("POST")
        if not path.startswith(SESSION):
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is {NEW_SESSION} and {SESSION}ID")
        session = self._open(request, path.removeprefix(SESSION))
        match method:
            case "POST":
                return await self._submit(request, session)
            case "GET":
                return await self._read(session)
            case "DELETE":
                await run_in_threadpool(_end, self._service, session)
                return Response(status_code=HTTPStatus.NO_CONTENT)
        raise _not_allowed("POST, GET, DELETE")

    def _new_session(self, request: Request) -> Response:
        """Open a session: a nonce, and the URL to post the evidence to."""
        asked = request.query_params
        nonce, size = asked.get("nonce"), asked.get("nonceSize")
        gate = self._service.gate
        holder = authorise(request, gate, Right.ATTEST if nonce is None else Right.CHOOSE)
        session = Session(
            nonce=self._nonce(nonce, size),
            issued=int(time.time()),
            lifetime=self._service.settings.session_lifetime,
            owner=holder.name,
            chosen=nonce is not None,
        )
        self._metrics.sessions.inc()
        location = SESSION + self._service.sealer.seal(session)
        return _json(self._resource(session, "waiting"), HTTPStatus.CREATED, {"Location": location})

    async def _submit(self, request: Request, session: Session) -> Response:
        """Bring evidence. The result is in the database before this answers."""
        now = int(time.time())
        _live(session, now)
        answered = await self._answered(request)
        began = time.perf_counter()
        try:
            done = await self._service.batcher.submit(Answer(session, answered, session.owner, now))
        except BusyError:
            self._metrics.refused.labels("busy").inc()
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many answers wait", {"Retry-After": "1"}
            ) from None
        except UsedError:
            self._metrics.refused.labels("used").inc()
            raise ProblemError(
                HTTPStatus.CONFLICT, "this session was answered, or its nonce was used before"
            ) from None
        finding = done.finding
        self._metrics.verdicts.labels(finding.verdict).inc()
        self._metrics.latency.observe(time.perf_counter() - began)
        ours = {
            "id": finding.id,
            "device": done.verdict.device,
            "verdict": finding.verdict,
            "why": finding.why,
        }
        return _json(
            self._resource(session, "complete") | {"result": finding.result, "coffret": ours}
        )

    async def _read(self, session: Session) -> Response:
        """A session, with evidence and result once it is complete."""
        used, result = await run_in_threadpool(_look_up, self._service, session)
        if not used:
            _live(session, int(time.time()))
            return _json(self._resource(session, "waiting"))
        if result is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "this session was deleted")
        evidence = base64.b64encode(result.evidence).decode("ascii")
        return _json(
            self._resource(session, "complete")
            | {
                "evidence": {"type": EVIDENCE, "value": evidence},
                "result": result.ear,
                "coffret": result.to_json(),
            }
        )

    def _open(self, request: Request, session_id: str) -> Session:
        holder = authorise(request, self._service.gate, Right.ATTEST)
        try:
            return self._service.sealer.open(session_id, holder.name)
        except SessionError:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, "no such session; open one with newSession"
            ) from None

    def _nonce(self, chosen: str | None, size: str | None) -> bytes:
        nonce = secrets.token_bytes(_size(size)) if chosen is None else _chosen(chosen, size)
        if self._service.settings.pairwise is not None and len(nonce) != NONCE_DEFAULT:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, f"nonceSize: a pairwise token takes {NONCE_DEFAULT} bytes"
            )
        return nonce

    def _resource(self, session: Session, status: str) -> dict[str, object]:
        expiry = datetime.fromtimestamp(session.expires, UTC).isoformat().replace("+00:00", "Z")
        return {
            "nonce": base64.b64encode(session.nonce).decode("ascii"),
            "expiry": expiry,
            "accept": accepted(self._service.settings),
            "status": status,
        }

    async def _answered(self, request: Request) -> Answered:
        kind = media_type(request)
        paired = self._service.settings.pairwise is not None
        bare = PAIRWISE_TOKEN_ONLY if paired else TOKEN_ONLY
        if kind == EVIDENCE:
            data = await body_of(request, evidence_file.MAX_BYTES)
            try:
                answered = evidence_file.unpack(data)
            except AttestError as error:
                raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from None
        elif kind in bare:
            token = await body_of(request, TOKEN_MAX)
            complete = _with_last_endorsement if paired else _with_last_certificate
            answered = await run_in_threadpool(complete, self._service, token)
        else:
            raise ProblemError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send one of {', '.join((EVIDENCE, *bare))}"
            )
        if paired:
            _names_no_device(answered)
        return answered


def _not_allowed(methods: str) -> ProblemError:
    return ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, f"use {methods}", {"Allow": methods})


def _json(
    document: dict[str, object],
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(json.dumps(document), status, headers, MEDIA_TYPE)


def _size(wanted: str | None) -> int:
    if wanted is None:
        return NONCE_DEFAULT
    if wanted not in _SIZES:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "nonceSize: a PSA token takes 32, 48 or 64 bytes"
        )
    return int(wanted)


def _chosen(text: str, size: str | None) -> bytes:
    if size is not None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "give nonce or nonceSize, not both")
    try:
        nonce = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "nonce: not base64url") from None
    _size(str(len(nonce)))
    return nonce


def _live(session: Session, now: int) -> None:
    if now > session.expires:
        raise ProblemError(HTTPStatus.GONE, "this session has expired; open another one")


def _with_last_certificate(service: Service, token: bytes) -> Answered:
    """A bare token: its certificate is the one that the device showed last."""
    device = Answered(token, b"").device()
    if device is None:
        return Answered(token, b"")  # the verdict will say what is wrong with it
    last = _last_evidence(service, device)
    if last is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"this device's certificate is not known yet; send {EVIDENCE} once",
        )
    return Answered(token, last.certificate)


def _names_no_device(answered: Answered) -> None:
    """A service of pairwise identities keeps nothing that names a device, not even to refuse it."""
    try:
        pairwise.parse_answer(answered)
        if answered.endorsement is not None:
            pairwise.read(answered.endorsement)
    except AttestError as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"not a pairwise identity: {error}; this service takes what "
            "`coffret attest --pairwise` gives, and kept nothing",
        ) from None


def _with_last_endorsement(service: Service, token: bytes) -> Answered:
    """A bare pairwise token: the endorsement is the one that came with this key last."""
    try:
        device = pairwise.parse(token).shown.instance_id
    except AttestError:
        return Answered(token, b"")
    last = _last_evidence(service, device)
    return Answered(token, b"", None if last is None else last.endorsement)


def _last_evidence(service: Service, device: bytes) -> Answered | None:
    """What this device showed last."""
    query = sa.select(STANDINGS.c.attestation).where(STANDINGS.c.instance_id == device)
    with service.engine.connect() as connection:
        last = connection.execute(query).scalar_one_or_none()
    result = None if last is None else Fleet(service.engine).result(last)
    return None if result is None else evidence_file.unpack(result.evidence)


def _look_up(service: Service, session: Session) -> tuple[bool, Result | None]:
    """Whether the nonce was used, and what came of it if it was used in this session's name."""
    query = sa.select(NONCES.c.attestation).where(NONCES.c.value == session.nonce)
    with service.engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return False, None
    result = None if row[0] is None else Fleet(service.engine).result(row[0])
    # A nonce that a client chose may have been used by somebody else before.
    return True, result if result is not None and result.reporter == session.owner else None


def _end(service: Service, session: Session) -> None:
    expires = FOREVER if session.chosen else session.expires + 3600
    use = Use(session.nonce, session.issued, expires, int(time.time()), None)
    with service.engine.begin() as connection:
        if use_nonces(connection, [use]):
            return
    used, result = _look_up(service, session)
    if used and result is not None:
        forget = sa.update(NONCES).where(NONCES.c.value == session.nonce)
        with service.engine.begin() as connection:
            connection.execute(forget.values(attestation=None))
