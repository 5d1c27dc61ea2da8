# SPDX-License-Identifier: Apache-2.0
"""The one place where the service meets the appraisal: an answer goes in, a finding comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attest import ear, evidence, p256, pairwise, psa_token
from attest.appraisal import Challenge, Expectations, NonceState, Verdict, appraise
from attest.ear import Dialect, Issuer
from attest.errors import AttestError
from attest.evidence import Evidence
from attest.policy import Policy
from attest.psa_token import Token
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
    """Appraises answers and signs the results.

    `verifier` is the name of a service that takes pairwise identities, for which the operator of
    the devices endorses their keys; None: it takes devices by their own identity.
    """

    operator: p256.PublicKey | None
    references: ReferenceBook
    policy: Policy
    issuer: Issuer
    dialect: Dialect
    verifier: str | None = None

    def appraise(
        self,
        answers: Sequence[Answer],
        find: Callable[[set[bytes]], Mapping[bytes, bytes]],
    ) -> list[Appraised]:
        """In the order given. Never raises for anything that a device sends.

        `find` gives the endorsements, by instance id, of those that were endorsed.
        """
        if self.verifier is not None:
            return [self._pairwise(answer, self.verifier) for answer in answers]
        tokens = [_parse(answer) for answer in answers]
        devices = [b"" if token is None else token.evidence.instance_id for token in tokens]
        endorsements = find({device for device in devices if device})
        return [
            self._named(answer, token, endorsements.get(device))
            for answer, token, device in zip(answers, tokens, devices, strict=True)
        ]

    def _named(self, answer: Answer, token: Token | None, endorsement: bytes | None) -> Appraised:
        told = None if token is None else token.evidence
        expected = Expectations(
            answer.challenge(),
            endorsement,
            self.operator,
            None if told is None else self.references.choose(told),
            self.policy,
            self.references.flows,
        )
        return self._finding(answer, told, appraise(answer.response, expected, token))

    def _pairwise(self, answer: Answer, verifier: str) -> Appraised:
        """The endorsement of a pairwise key comes with the answer: it names no device."""
        try:
            token = pairwise.parse_answer(answer.response)
        except AttestError:
            token = None
        told = None if token is None else token.shown
        expected = pairwise.Expectations(
            verifier,
            answer.challenge(),
            self.operator,
            None if told is None else self.references.choose(told),
            self.policy,
            self.references.flows,
        )
        return self._finding(answer, told, pairwise.appraise(answer.response, expected, token))

    def _finding(
        self, answer: Answer, told: Evidence | pairwise.Shown | None, verdict: Verdict
    ) -> Appraised:
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
            version=None if told is None else _version(told.components),
        )
        return Appraised(verdict, finding)


def _parse(answer: Answer) -> Token | None:
    """The answer's token, not verified yet; None when it is malformed."""
    try:
        return psa_token.parse(answer.response.token)
    except AttestError:
        return None


def _version(components: tuple[evidence.Component, ...]) -> str | None:
    return next((part.version for part in components if part.type == "appliance"), None)
