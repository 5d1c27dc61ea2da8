# SPDX-License-Identifier: Apache-2.0
"""What devices should run: the reference values that were uploaded, and which of them fit whom."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from attest import corim, p256
from attest.corim import ReferenceValues
from attest.errors import CorimError, FlowsError
from attest.evidence import Evidence
from attest.flows import EMPTY, FlowBook
from attest.log import release
from attest.log_store import Entry, Log
from attest.pairwise import Shown
from attest.record import insert_for
from attest.tables import CORIMS, POLICIES
from enclaves.policy import policy_digest
from enclaves.policy_reader import PolicyError, read_policy

FRESH_FOR = 1.0  # seconds that a worker goes on with what it read


@dataclass(frozen=True, slots=True)
class Reference:
    """One uploaded CoRIM."""

    id: str
    values: ReferenceValues
    active: bool
    added: int
    added_by: str

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "board": self.values.board,
            "appliance": self.values.appliance,
            "version": self.values.version,
            "security_counter": self.values.security_counter,
            "policy": self.values.policy.hex(),
            "active": self.active,
            "added": self.added,
            "added_by": self.added_by,
        }


class ReferenceBook:
    """The active reference values, read anew when what is known is FRESH_FOR seconds old."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._stamp: object = None
        self._read_at = float("-inf")
        self._by_image: dict[bytes, ReferenceValues] = {}
        self._newest_first: list[ReferenceValues] = []
        self.flows = EMPTY  # the published flow policies

    def refresh(self) -> None:
        """Look whether something was added or withdrawn; costs nothing when asked often."""
        now = time.monotonic()
        if now - self._read_at < FRESH_FOR:
            return
        self._read_at = now
        with self._engine.connect() as connection:
            stamp = connection.execute(
                sa.select(CORIMS.c.id, CORIMS.c.active).order_by(CORIMS.c.id)
            ).all()
            published = connection.execute(
                sa.select(POLICIES.c.digest).order_by(POLICIES.c.digest)
            ).all()
        if (stamp, published) == self._stamp:
            return
        known = [reference for reference in listing(self._engine) if reference.active]
        self._newest_first = [reference.values for reference in known]
        self._by_image = {
            image: values
            for values in reversed(self._newest_first)
            for image in (values.image_a, values.image_b)
        }
        self.flows = _flow_book(self._engine)
        self._stamp = (stamp, published)

    def choose(self, evidence: Evidence | Shown) -> ReferenceValues | None:
        """The reference values of the image that the evidence names, or else those nearest to it.

        An unknown image is held against the reference values of its kind of board that it shares
        most with, the newest of equals: so the verdict names what differs, and not everything.
        """
        parts = {part.type: part.value for part in evidence.components}
        exact = self._by_image.get(parts["appliance"])
        if exact is not None:
            return exact
        of_kind = [
            values
            for values in self._newest_first
            if values.implementation_id == evidence.implementation_id
        ]
        return max(of_kind, key=lambda values: _likeness(values, parts), default=None)


def add(
    engine: sa.Engine, data: bytes, signer: p256.PublicKey, by: str, now: int
) -> ReferenceValues:
    """Add a signed CoRIM, or make it active again; a new one is a release in the transparency log.

    Raises CorimError; nothing is stored then.
    """
    values = corim.read(data, signer)
    row = {
        "id": identifier(values),
        "implementation_id": values.implementation_id,
        "board": values.board,
        "appliance": values.appliance,
        "version": values.version,
        "policy_digest": values.policy,
        "content": data,
        "active": True,
        "added": now,
        "added_by": by,
    }
    with engine.begin() as connection:
        insert = insert_for(connection, CORIMS).values(row)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["id"], set_={"active": True, "content": insert.excluded.content}
            )
        )
        entry, log = Entry.of(release(values, data)), Log(connection)
        if log.find(entry.about) is None:
            log.append([entry])
    return values


def set_active(engine: sa.Engine, ids: list[str], active: bool) -> list[str]:
    """Activate or withdraw CoRIMs by id; returns unknown ids, and does nothing if there is one."""
    with engine.begin() as connection:
        known = set(
            connection.execute(sa.select(CORIMS.c.id).where(CORIMS.c.id.in_(ids))).scalars()
        )
        unknown = [each for each in ids if each not in known]
        if not unknown:
            connection.execute(sa.update(CORIMS).where(CORIMS.c.id.in_(ids)).values(active=active))
    return unknown


def listing(engine: sa.Engine) -> list[Reference]:
    """All that were uploaded, the newest first."""
    query = sa.select(CORIMS).order_by(CORIMS.c.added.desc(), CORIMS.c.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    # The signature was checked when it was uploaded; whoever can write here can do anything.
    return [
        Reference(row.id, corim.read(row.content), row.active, row.added, row.added_by)
        for row in rows
    ]


def identifier(values: ReferenceValues) -> str:
    """The CoRIM's id (corim-map key 0)."""
    return corim.identifier(values)


def add_policy(engine: sa.Engine, document: bytes) -> bytes:
    """Keep a flow policy under its digest, which it returns. Raises CorimError if it is none.

    It needs no signature: it is shown only for a device whose boot measured this very digest, or
    whose signed reference values name it.
    """
    digest = policy_digest(document)
    try:
        read_policy(document)
    except PolicyError as error:
        raise CorimError(f"flow policy: {error}") from error
    with engine.begin() as connection:
        insert = insert_for(connection, POLICIES).values(digest=digest, content=document)
        connection.execute(insert.on_conflict_do_nothing(index_elements=["digest"]))
    return digest


def flow_policy(engine: sa.Engine, digest: bytes) -> bytes | None:
    """The document with this digest."""
    query = sa.select(POLICIES.c.content).where(POLICIES.c.digest == digest)
    with engine.connect() as connection:
        found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


def _flow_book(engine: sa.Engine) -> FlowBook:
    """What was published, but for documents of a release with another format."""
    with engine.connect() as connection:
        documents = connection.execute(sa.select(POLICIES.c.content)).scalars().all()
    readable = []
    for document in documents:
        try:
            FlowBook.of([document])
        except FlowsError:
            continue
        readable.append(document)
    return FlowBook.of(readable)


def _likeness(values: ReferenceValues, parts: dict[str, bytes]) -> int:
    """How many measured parts are equal."""
    wanted = values.components(0)
    return sum(parts.get(kind) == digest for kind, digest in wanted)
