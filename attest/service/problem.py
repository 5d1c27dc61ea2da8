# SPDX-License-Identifier: Apache-2.0
"""Errors as RFC 9457 problem documents: what is wrong, and the mend."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from attest.service.logs import LOGGER

MEDIA_TYPE = "application/problem+json"


class ProblemDocument(BaseModel):
    """RFC 9457 section 3.1."""

    title: str
    status: int
    detail: str


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        return response(self.status, self.detail, self.headers)


def response(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    document = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(document, status, headers=headers, media_type=MEDIA_TYPE)


def no_store(error: SQLAlchemyError) -> JSONResponse:
    """The answer when the database fails; the log has the kind of failure."""
    LOGGER.error("the store failed", exc_info=error)
    return response(
        HTTPStatus.SERVICE_UNAVAILABLE, "the store does not answer", {"Retry-After": "5"}
    )


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    @app.exception_handler(ProblemError)
    async def _ours(_: Request, error: ProblemError) -> JSONResponse:
        return error.response()

    @app.exception_handler(SQLAlchemyError)
    async def _store(_: Request, error: SQLAlchemyError) -> JSONResponse:
        return no_store(error)

    @app.exception_handler(HTTPException)
    async def _framework(_: Request, error: HTTPException) -> JSONResponse:
        return response(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return response(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}")
