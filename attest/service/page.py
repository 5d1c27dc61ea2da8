# SPDX-License-Identifier: Apache-2.0
"""The page for operators: server-made HTML, one style sheet and one script of our own.

Whoever may read signs in with an access key, which is kept in no cookie: the cookie has the key's
digest under a MAC and an end.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.staticfiles import StaticFiles

from attest.service import references, story
from attest.service.access import AccessKey, Right, digest_of
from attest.service.core import Service
from attest.service.fleet import Fleet, Group
from attest.service.http import Number, holder_of, service_of
from enclaves.picture import draw

COOKIE = "coffret_session"
SIGNED_IN_FOR = 8 * 3600  # seconds
PAGE = 50  # devices
_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# The picture has its style inside; nothing else is let in, should somebody open it alone.
_PICTURE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",
}
GROUPS = {
    Group.ATTENTION: "Needs attention",
    Group.ALL: "All",
    Group.TRUSTED: "Trusted",
    Group.UNTRUSTED: "Not trusted",
    Group.UNKNOWN: "Unknown",
    Group.SILENT: "Never reported",
}
WORDS = {"trusted": "Trusted", "untrusted": "Not trusted", "unknown": "Unknown"}

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Add the page to the application."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"))

    @app.middleware("http")
    async def _guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await go_on(request)
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer


@router.get("/")
def fleet(
    request: Request,
    group: Group = Group.ATTENTION,
    search: Annotated[str, Query(max_length=80)] = "",
    start: Number = 0,
) -> Response:
    """The fleet at a glance."""
    holder = _reader(request)
    if holder is None:
        return _to_sign_in(request)
    known = Fleet(service_of(request).engine)
    counts = known.counts()
    shown = Group.ALL if search and group is Group.ATTENTION else group
    members = known.members(shown, search, start, PAGE + 1)
    return _html(
        "fleet.html",
        holder=holder,
        counts=counts,
        shares=_shares(counts.trusted, counts.untrusted, counts.unknown, counts.silent),
        group=shown,
        groups=GROUPS,
        search=search,
        members=members[:PAGE],
        unnamed=_unnamed(service_of(request)),
        start=start,
        earlier=max(0, start - PAGE) if start else None,
        later=start + PAGE if len(members) > PAGE else None,
    )


@router.get("/devices/{name}")
def device(request: Request, name: str) -> Response:
    """One device's story."""
    holder = _reader(request)
    if holder is None:
        return _to_sign_in(request)
    service = service_of(request)
    member = Fleet(service.engine).member(name)
    if member is None:
        return _missing(holder, f"There is no device called {name}.")
    told = story.tell(service.inventory, member)
    unnamed = _unnamed(service)
    return _html("device.html", holder=holder, story=told, member=member, unnamed=unnamed)


@router.get("/results/{number}")
def result(request: Request, number: Number) -> Response:
    """One result of the past, claim by claim."""
    holder = _reader(request)
    if holder is None:
        return _to_sign_in(request)
    known = Fleet(service_of(request).engine)
    found = known.result(number)
    if found is None:
        return _missing(holder, "There is no such result.")
    member = None if found.instance_id is None else known.member(found.instance_id.hex())
    lines = story.lines_of(found)
    return _html("result.html", holder=holder, result=found, member=member, lines=lines)


@router.get("/references")
def reference_values(request: Request) -> Response:
    """What devices should run."""
    holder = _reader(request)
    if holder is None:
        return _to_sign_in(request)
    found = references.listing(service_of(request).engine)
    return _html("references.html", holder=holder, references=found)


@router.get("/policies/{digest}.svg")
def picture(request: Request, digest: str) -> Response:
    """The flows of a published policy, drawn."""
    if _reader(request) is None:
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    try:
        policy = story.policy_of(service_of(request).engine, bytes.fromhex(digest))
    except ValueError:
        policy = None
    if policy is None:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return Response(draw(policy), headers=_PICTURE_HEADERS, media_type="image/svg+xml")


@router.get("/sign-in")
def sign_in_form(request: Request, then: str = "/") -> Response:
    """Where an access key is asked for."""
    if _reader(request) is not None:
        return RedirectResponse(_local(then), HTTPStatus.SEE_OTHER)
    return _html("sign_in.html", holder=None, then=_local(then), wrong=False)


@router.post("/sign-in")
def sign_in(
    request: Request, key: Annotated[str, Form(max_length=200)], then: Annotated[str, Form()] = "/"
) -> Response:
    """Take an access key for a cookie."""
    service = service_of(request)
    digest = digest_of(key.strip())
    holder = service.gate.holder(digest)
    if holder is None or not holder.may(Right.READ):
        answer = _html("sign_in.html", holder=None, then=_local(then), wrong=True)
        answer.status_code = HTTPStatus.FORBIDDEN
        return answer
    redirect = RedirectResponse(_local(then), HTTPStatus.SEE_OTHER)
    redirect.set_cookie(
        COOKIE,
        _seal(service, digest, int(time.time()) + SIGNED_IN_FOR),
        max_age=SIGNED_IN_FOR,
        httponly=True,
        samesite="strict",
        secure=service.settings.tls is not None,
    )
    return redirect


@router.post("/sign-out")
def sign_out() -> Response:
    """Forget the cookie."""
    redirect = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    redirect.delete_cookie(COOKIE)
    return redirect


def _reader(request: Request) -> AccessKey | None:
    """Who is signed in, or shows a client certificate, and may read."""
    service = service_of(request)
    holder = holder_of(request, service.gate)
    if holder is None:
        digest = _opened(service, request.cookies.get(COOKIE, ""), int(time.time()))
        holder = None if digest is None else service.gate.holder(digest)
    return holder if holder is not None and holder.may(Right.READ) else None


def _seal(service: Service, digest: bytes, end: int) -> str:
    body = f"{digest.hex()}.{end}"
    return f"{body}.{_mac(service, body)}"


def _opened(service: Service, cookie: str, now: int) -> bytes | None:
    """The digest of the key that this cookie was given for."""
    body, _, mac = cookie.rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(service, body).encode()):
        return None
    digest, _, end = body.partition(".")
    return bytes.fromhex(digest) if int(end) > now else None


def _mac(service: Service, body: str) -> str:
    data = body.encode("utf-8", "replace")
    return hashlib.blake2b(data, key=service.page_key, digest_size=24).hexdigest()


def _to_sign_in(request: Request) -> Response:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?then={quote(target)}", HTTPStatus.SEE_OTHER)


def _local(path: str) -> str:
    """A path of this page, never another host's."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"


def _unnamed(service: Service) -> str:
    """What the page calls a device that the inventory does not know."""
    return "never endorsed" if service.settings.pairwise is None else "pairwise identity"


def _missing(holder: AccessKey, words: str) -> Response:
    answer = _html("missing.html", holder=holder, what=words)
    answer.status_code = HTTPStatus.NOT_FOUND
    return answer


def _shares(*numbers: int) -> list[int]:
    """Widths of the bar in 1/1000, at least 8 for whoever is there at all."""
    total = sum(numbers) or 1
    return [max(8, round(1000 * number / total)) if number else 0 for number in numbers]


def _moment(seconds: int | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["moment"] = _moment
_TEMPLATES.filters["iso"] = _iso
_TEMPLATES.filters["thousands"] = lambda number: f"{number:,}".replace(",", "\u202f")
_TEMPLATES.filters["sentence"] = _sentence
_TEMPLATES.globals["words"] = WORDS


def _html(template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(_TEMPLATES.get_template(template).render(values))
