# SPDX-License-Identifier: Apache-2.0
"""The one place where the service meets the appraisal: an answer goes in, a finding comes out."""

from __future__ import annotations

from dataclasses import dataclass

from attest import evidence, p256
from attest.appraisal import Challenge, Expectations, NonceState, Verdict, appraise
from attest.errors import AttestError
from attest.record import Finding
from attest.response import Response
from attest.service.references import ReferenceBook
from attest.service.session import Session


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for a session. `at` is when, seconds since 1970; `reporter` an access key."""

    session: Session
    response: Response
    reporter: str
    at: int

    @property
    def state(self) -> NonceState:
        return NonceState.EXPIRED if self.at > self.session.expires else NonceState.FRESH


@dataclass(frozen=True, slots=True)
class Appraised:
    """A verdict, and the finding of it that the store keeps."""

    verdict: Verdict
    finding: Finding


class Appraiser:
    """Appraises answers against endorsements that the caller looked up."""

    def __init__(self, operator: p256.PublicKey | None, references: ReferenceBook) -> None:
        self._operator = operator
        self._references = references

    def appraise(
        self, answer: Answer, token: evidence.Evidence | None, endorsement: bytes | None
    ) -> Appraised:
        """Never raises for anything that a device sends. `token` is what `read` gave."""
        references = None if token is None else self._references.choose(token)
        challenge = Challenge(answer.session.nonce, answer.state)
        expected = Expectations(challenge, endorsement, self._operator, references)
        verdict = appraise(answer.response, expected)
        finding = Finding.of(
            answer.response,
            None if token is None else token.instance_id,
            verdict,
            answer.session.nonce,
            answer.at,
            result=None,
            reporter=answer.reporter,
            appliance=None if references is None else references.appliance,
            version=None if token is None else _version(token),
        )
        return Appraised(verdict, finding)


def read(answer: Answer) -> evidence.Evidence | None:
    """The answer's token, not verified yet; None when it is malformed."""
    try:
        return evidence.read(answer.response.token)
    except AttestError:
        return None


def _version(token: evidence.Evidence) -> str | None:
    return next((part.version for part in token.components if part.type == "appliance"), None)
