# SPDX-License-Identifier: Apache-2.0
"""The flow policies that a verifier knows, by the digest that a device proves.

A device sends only the digest. Whoever has the document with that digest, from a bundle, can say
what the device lets out, and what has changed between two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from attest.errors import FlowsError
from enclaves import proof, widening
from enclaves.policy import Policy, policy_digest
from enclaves.policy_reader import PolicyError, read_policy
from enclaves.report import device_words


@dataclass(frozen=True, slots=True)
class Route:
    """A way out: data of `tag` by the sink `to`, as the gate `through`, None for as it is."""

    tag: str
    to: str
    through: str | None = None

    def __str__(self) -> str:
        return f"{self.tag} by {self.to} {f'as {self.through}' if self.through else 'as it is'}"

    def words(self) -> str:
        """Within a sentence."""
        how = f"as {self.through}" if self.through else "as it is"
        return f"{self.tag} leaves by {device_words(self.to)} {how}"


@dataclass(frozen=True, slots=True, eq=False)
class FlowBook:
    """Flow policies by digest, with their ways out. Immutable, and equal to itself only; make one
    with `of`.
    """

    _known: Mapping[bytes, tuple[Policy, tuple[Route, ...]]]

    @classmethod
    def of(cls, documents: Iterable[bytes]) -> FlowBook:
        """A book of these policy documents (`policy.cbor`). Raises FlowsError for a bad one."""
        known = {}
        for document in documents:
            try:
                policy = read_policy(document)
            except PolicyError as error:
                raise FlowsError(f"flow policy: {error}") from error
            exposures = proof.prove(policy.graph).exposures
            routes = dict.fromkeys(Route(each.tag, each.sink, each.gate) for each in exposures)
            known[policy_digest(document)] = (policy, tuple(routes))
        return cls(MappingProxyType(known))

    def routes(self, digest: bytes) -> tuple[Route, ...] | None:
        """Every way out under the policy with this digest, None if it is not known."""
        known = self._known.get(digest)
        return None if known is None else known[1]

    def policy(self, digest: bytes) -> Policy | None:
        """The policy with this digest."""
        known = self._known.get(digest)
        return None if known is None else known[0]

    def changes(self, expected: bytes, found: bytes) -> tuple[str, ...]:
        """What differs between the two policies, in words: first what `found` has and `expected`
        has not. () when either is not known, or nothing that has a name differs.
        """
        before, after = self.policy(expected), self.policy(found)
        if before is None or after is None:
            return ()
        more = [change.what for change in widening.compare(before, after)]
        less = [change.what for change in widening.compare(after, before) if change.wider]
        return (*more, *(f"not as expected, where {what}" for what in less))


EMPTY = FlowBook.of(())
