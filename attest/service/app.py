# SPDX-License-Identifier: Apache-2.0
"""The ASGI application of one worker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attest.service import (
    challenge_api,
    discovery_api,
    inventory_api,
    log_api,
    page,
    problem,
    provisioning_api,
)
from attest.service.caretaker import Caretaker
from attest.service.challenge_api import ChallengeApi
from attest.service.core import Service
from attest.service.description import describe
from attest.service.logs import note
from attest.service.metrics import Metrics
from attest.service.settings import Settings


def make_app(settings: Settings) -> ASGIApp:
    """Open everything and build the application. Raises CoffretError."""
    service = Service.open(settings)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        caretaker = Caretaker(service, metrics)
        service.batcher.start()
        caretaker.start()
        note("ready")
        yield
        await caretaker.stop()
        await service.batcher.stop()
        service.inventory.close()
        note("stopped")

    app = FastAPI(
        title="coffret verifier",
        version=version("coffret"),
        summary="Appraises the evidence of coffret devices.",
        docs_url=None,  # they load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.metrics = metrics
    problem.install(app)
    for part in (provisioning_api, inventory_api, log_api, discovery_api):
        app.include_router(part.router)
    page.install(app)
    describe(app)
    return AccessLog(Front(ChallengeApi(service, metrics), app))


class Front:
    """The busy paths go straight to their application, everything else through the framework."""

    def __init__(self, challenge: ASGIApp, rest: ASGIApp) -> None:
        self._challenge = challenge
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        busy = scope["type"] == "http" and scope["path"].startswith(challenge_api.PREFIX)
        await (self._challenge if busy else self._rest)(scope, receive, send)


class AccessLog:
    """One line a request that changed something or failed: who can be seen in the history."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if status >= HTTPStatus.BAD_REQUEST or status == 0:
                path = scope["path"].encode("ascii", "replace").decode("ascii")
                session = path.startswith(f"{challenge_api.PREFIX}/session/")
                note(
                    "refused",
                    method=scope["method"],
                    path=f"{challenge_api.PREFIX}/session/…" if session else path[:200],
                    status=status,
                    milliseconds=round(1000 * (time.perf_counter() - began), 1),
                )
