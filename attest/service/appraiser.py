# SPDX-License-Identifier: Apache-2.0
"""The one place where the service meets the appraisal: an answer goes in, a finding comes out."""

from __future__ import annotations

from dataclasses import dataclass

from attest import ear, evidence, p256
from attest.appraisal import Challenge, Expectations, NonceState, Verdict, appraise
from attest.ear import Dialect, Issuer
from attest.errors import AttestError
from attest.evidence import Token
from attest.policy import Policy
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

    def challenge(self) -> Challenge:
        """What the session was worth when the answer came."""
        late = self.at > self.session.expires
        state = NonceState.EXPIRED if late else NonceState.FRESH
        return Challenge(self.session.nonce, state, self.at - self.session.issued)


@dataclass(frozen=True, slots=True)
class Appraised:
    """A verdict, and the finding of it that the store keeps."""

    verdict: Verdict
    finding: Finding


@dataclass(frozen=True, slots=True)
class Appraiser:
    """Appraises answers against endorsements that the caller looked up, and signs the results."""

    operator: p256.PublicKey | None
    references: ReferenceBook
    policy: Policy
    issuer: Issuer
    dialect: Dialect

    def appraise(self, answer: Answer, token: Token | None, endorsement: bytes | None) -> Appraised:
        """Never raises for anything that a device sends. `token` is what `parse` gave."""
        told = None if token is None else token.evidence
        references = None if told is None else self.references.choose(told)
        expected = Expectations(
            answer.challenge(),
            endorsement,
            self.operator,
            references,
            self.policy,
            self.references.flows,
        )
        verdict = appraise(answer.response, expected, token)
        result = ear.Result(verdict, answer.session.nonce, answer.at, told)
        finding = Finding.of(
            answer.response,
            None if told is None else told.instance_id,
            verdict,
            answer.session.nonce,
            answer.at,
            result=ear.to_jwt(result, self.issuer, self.dialect),
            reporter=answer.reporter,
            appliance=verdict.appliance,
            version=None if told is None else _version(told),
        )
        return Appraised(verdict, finding)


def parse(answer: Answer) -> Token | None:
    """The answer's token, not verified yet; None when it is malformed."""
    try:
        return evidence.parse(answer.response.token)
    except AttestError:
        return None


def _version(token: evidence.Evidence) -> str | None:
    return next((part.version for part in token.components if part.type == "appliance"), None)
