# SPDX-License-Identifier: Apache-2.0
"""A client of the service, for gateways and for those who publish bundles."""

from __future__ import annotations

import base64
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from attest import response as evidence_file
from attest.log import HEAD_TYPE
from attest.response import Response
from boards.errors import ENVIRONMENT, USAGE, CoffretError

CORIM = ("corim.cbor", "application/rim+cbor")
POLICY = ("policy.cbor", "application/vnd.coffret.flow-policy+cbor")
EVIDENCE = "application/vnd.coffret.evidence+cbor"
PAIRWISE = "coffret-pairwise"  # in the discovery document
TIMEOUT_S = 30.0


class ServiceError(CoffretError):
    """The service did not answer, or said no."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """An open session: the nonce for the board, and where its evidence goes."""

    nonce: bytes
    location: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the service made of the evidence. `result` is an EAR (JWT) if the service signs them."""

    device: str
    verdict: str
    why: str
    result: str | None


def read_key(path: Path) -> str:
    """An access key from its file. Raises ServiceError when others can read it."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ServiceError(f"{path}: others can read it", f"chmod 600 {path}", USAGE)
    return path.read_text("ascii", "replace").strip()


class Client:
    """A context manager. Every method raises ServiceError.

    `key` None is for what a service answers to anybody.
    """

    def __init__(self, url: str, key: str | None, ca: Path | None = None) -> None:
        verify: ssl.SSLContext | bool = True
        if ca is not None:
            verify = ssl.create_default_context(cafile=str(ca))
        self._http = httpx.Client(
            base_url=url,
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            verify=verify,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._http.close()

    def challenge(self) -> Challenge:
        """Open a session."""
        answer = self._post("/challenge-response/v1/newSession?nonceSize=32")
        try:
            nonce = base64.b64decode(answer.json()["nonce"], validate=True)
            return Challenge(nonce, answer.headers["location"])
        except (ValueError, KeyError, TypeError):
            raise self._strange() from None

    def report(self, challenge: Challenge, response: Response) -> Report:
        """Bring a board's answer to a challenge."""
        answer = self._post(challenge.location, evidence_file.pack(response), EVIDENCE)
        try:
            document = answer.json()
            ours: Mapping[str, str] = document["coffret"]
            return Report(ours["device"], ours["verdict"], ours["why"], document["result"])
        except (ValueError, KeyError, TypeError):
            raise self._strange() from None

    def publish(self, bundle: Path) -> dict[str, str]:
        """Upload a bundle's reference values and flow policy; the service's objections by name."""
        return {name: self._submit(bundle / name, kind) for name, kind in (CORIM, POLICY)}

    def pairwise(self) -> str | None:
        """The name of a service that takes pairwise identities; None: it takes no such."""
        try:
            named: str | None = self._get("/.well-known/veraison/verification").json().get(PAIRWISE)
        except (ValueError, AttributeError):
            raise self._strange() from None
        return named

    def log_head(self) -> bytes:
        """A head of the service's transparency log, signed."""
        return self._get("/v1/log/head").content

    def log_proof(self, wanted: str) -> bytes | None:
        """The proof of an entry (`attest.log_source.Wanted.path`), None if there is none."""
        answer = self._get(f"/v1/log/proof/{wanted}", none=HTTPStatus.NOT_FOUND)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else answer.content

    def log_consistency(self, older: bytes) -> bytes:
        """The proof that the log only grew since this head."""
        return self._post("/v1/log/consistency", older, HEAD_TYPE).content

    def _submit(self, path: Path, kind: str) -> str:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ServiceError(
                f"{path}: {error.strerror}", "name a bundle that coffret build made", USAGE
            ) from error
        answer = self._post("/endorsement-provisioning/v1/submit", data, kind).json()
        reason: str = answer.get("failure-reason", "")
        return reason

    def _get(self, path: str, none: HTTPStatus | None = None) -> httpx.Response:
        return self._ask(self._http.build_request("GET", path), none)

    def _post(self, path: str, content: bytes = b"", kind: str = "") -> httpx.Response:
        headers = {"Content-Type": kind} if kind else {}
        return self._ask(self._http.build_request("POST", path, content=content, headers=headers))

    def _ask(self, request: httpx.Request, none: HTTPStatus | None = None) -> httpx.Response:
        """The answer. `none` is a status that is no error here."""
        try:
            answer = self._http.send(request)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"the service at {self._http.base_url} does not answer: {type(error).__name__}",
                "is it running, and is the URL right?",
                ENVIRONMENT,
            ) from None
        if answer.status_code >= HTTPStatus.BAD_REQUEST and answer.status_code != none:
            try:
                detail = answer.json()["detail"]
            except (ValueError, KeyError, TypeError):
                detail = answer.reason_phrase
            raise ServiceError(
                f"the service said {answer.status_code}: {detail}",
                "coffret access list shows what each key may do",
                ENVIRONMENT,
            )
        return answer

    def _strange(self) -> ServiceError:
        return ServiceError(
            f"{self._http.base_url} does not answer as a verifier does", "check --service", USAGE
        )
