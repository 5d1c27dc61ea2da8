# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI description of the paths that the framework does not see (`challenge_api`)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from attest.service.challenge_api import EVIDENCE, MEDIA_TYPE, NEW_SESSION, SESSION, TOKEN_ONLY
from attest.service.schemas import PROBLEMS, SCHEMAS, SessionDocument, schema_of

_TAGS = ["challenge-response"]
_SESSION = {"content": {MEDIA_TYPE: {"schema": schema_of(SessionDocument)}}}
_ID = {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string"}}
_KEY = "access-key"


def _query(name: str, schema: dict[str, Any], words: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": words,
    }


_PATHS: dict[str, Any] = {
    NEW_SESSION: {
        "post": {
            "tags": _TAGS,
            "operationId": "new_session",
            "summary": "Open a session: a nonce, and the URL to post the evidence to",
            "parameters": [
                _query(
                    "nonceSize", {"type": "integer", "enum": [32, 48, 64]}, "Bytes of the nonce"
                ),
                _query(
                    "nonce",
                    {"type": "string"},
                    "The nonce itself, base64url; needs the right choose-nonce",
                ),
            ],
            "responses": {
                "201": {
                    "description": "The session",
                    "headers": {"Location": {"schema": {"type": "string"}}},
                    **_SESSION,
                },
                **PROBLEMS,
            },
        }
    },
    f"{SESSION}{{session_id}}": {
        "parameters": [_ID],
        "get": {
            "tags": _TAGS,
            "operationId": "get_session",
            "summary": "Read a session, with evidence and result once it is complete",
            "responses": {"200": {"description": "The session", **_SESSION}, **PROBLEMS},
        },
        "post": {
            "tags": _TAGS,
            "operationId": "submit_evidence",
            "summary": "Bring evidence; the result is in the database before this answers",
            "requestBody": {
                "required": True,
                "content": {
                    kind: {"schema": {"type": "string", "format": "binary"}}
                    for kind in (EVIDENCE, *TOKEN_ONLY)
                },
            },
            "responses": {"200": {"description": "The result", **_SESSION}, **PROBLEMS},
        },
        "delete": {
            "tags": _TAGS,
            "operationId": "delete_session",
            "summary": "End a session; its result stays in the device's history",
            "responses": {"204": {"description": "Ended"}, **PROBLEMS},
        },
    },
}


def describe(app: FastAPI) -> None:
    """Make `app` describe the whole service."""
    of_framework = app.openapi

    def whole() -> dict[str, Any]:
        document = of_framework()
        document["paths"] = {**_PATHS, **document["paths"]}
        components = document.setdefault("components", {})
        components["schemas"] = {**SCHEMAS, **components.get("schemas", {})}
        components["securitySchemes"] = {_KEY: {"type": "http", "scheme": "bearer"}}
        document["security"] = [{_KEY: []}]
        return document

    app.openapi = whole  # type: ignore[method-assign]
