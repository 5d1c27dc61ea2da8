# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with bytes that somebody handed us: one typed error each, never another."""

from __future__ import annotations


class AttestError(ValueError):
    """Something a verifier was given is malformed or does not verify; the text says what."""


class PublicKeyError(AttestError):
    """The bytes are no public key on P-256."""


class CertificateError(AttestError):
    """The DICE certificate is malformed or does not chain to the identity key."""


class EvidenceError(AttestError):
    """The attestation token is malformed or its signature does not verify."""


class EndorsementError(AttestError):
    """The endorsement is malformed or the operator did not sign it."""


class CorimError(AttestError):
    """The reference values are malformed or their signature does not verify."""


class FlowsError(AttestError):
    """The bytes are no flow policy document."""


class ResultError(AttestError):
    """The attestation result is malformed or its signature does not verify."""


class LogError(AttestError):
    """The transparency log cannot be used, or a proof about it does not hold."""
