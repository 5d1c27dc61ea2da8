# SPDX-License-Identifier: Apache-2.0
"""Bundles as a fleet keeps them: checked, stored whole in the inventory, unpacked by workers."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

import attest
from attest.inventory import Inventory
from attest.record import insert_for
from attest.tables import BUNDLES
from boards.errors import ENVIRONMENT, CoffretError
from firmware.bundle.folder import FACTS_FILE, load_bundle
from flasher.bundle import Bundle, ImageFile, read_bundle
from flasher.delta import from_bundle
from flasher.state import runtime_root

_MAX = 64 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class FleetBundle:
    """A bundle that boards of a fleet run. `digest` is over every file of it."""

    digest: str
    bundle: Bundle
    references: attest.ReferenceValues
    policy_digest: bytes
    policy: bytes


def read(folder: Path) -> FleetBundle:
    """A bundle, checked as a whole: every file's digest, both signatures, reference values.

    Raises BundleError, and CoffretError for reference values that are not signed.
    """
    checked = load_bundle(folder)
    policy = checked.path("policy").read_bytes()
    return FleetBundle(
        digest=hashlib.sha256((folder / FACTS_FILE).read_bytes()).hexdigest(),
        bundle=read_bundle(folder),
        references=attest.load_bundle(folder),
        policy_digest=hashlib.sha256(policy).digest(),
        policy=policy,
    )


def store(connection: sa.Connection, bundle: FleetBundle) -> None:
    """Keeps a bundle in the inventory, in the caller's transaction."""
    known = sa.select(BUNDLES.c.digest).where(BUNDLES.c.digest == bundle.digest)
    if connection.execute(known).first() is not None:
        return
    insert = insert_for(connection, BUNDLES)
    values = {"digest": bundle.digest, "content": _pack(bundle.bundle.folder)}
    connection.execute(insert.values(values).on_conflict_do_nothing(index_elements=["digest"]))


def _pack(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes())
    return out.getvalue()


class Shelf:
    """The bundles a worker has at hand, unpacked in a folder of its own. A context manager."""

    def __init__(self, inventory: Inventory) -> None:
        self._engine = inventory.engine
        self._folder = Path(tempfile.mkdtemp(prefix="bundles-", dir=runtime_root()))
        self._known: dict[str, FleetBundle] = {}
        self._deltas: dict[tuple[bytes, bytes], bytes] = {}

    def get(self, digest: str) -> FleetBundle:
        """The bundle, from the inventory at its first use; checked like one from a stranger."""
        if digest not in self._known:
            self._known[digest] = self._unpack(digest)
        return self._known[digest]

    def _unpack(self, digest: str) -> FleetBundle:
        with self._engine.connect() as connection:
            query = sa.select(BUNDLES.c.content).where(BUNDLES.c.digest == digest)
            content = connection.execute(query).scalar_one_or_none()
        if content is None:
            raise _damaged(digest, "it is not in the inventory")
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX:
                raise _damaged(digest, "it is too large")
            archive.extractall(folder)  # zipfile keeps entries inside the folder
        found = read(folder)
        if found.digest != digest:
            raise _damaged(digest, "its digest is another")
        return found

    def delta_to(self, image: ImageFile, running: bytes) -> bytes | None:
        """The difference to an image from what a board runs, if the inventory has that bundle."""
        key = (running, image.digest)
        if key not in self._deltas:
            with self._engine.connect() as connection:
                every = connection.execute(sa.select(BUNDLES.c.digest)).scalars().all()
            made = (from_bundle(old.bundle)(image, running) for old in map(self.get, every))
            found = next((delta for delta in made if delta is not None), None)
            if found is None:
                return None
            self._deltas[key] = found
        return self._deltas[key]

    def close(self) -> None:
        """Removes what was unpacked."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _damaged(digest: str, why: str) -> CoffretError:
    return CoffretError(
        f"the fleet's bundle {digest[:16]}... cannot be used: {why}",
        "run the fleet command again from the computer that has the bundle",
        ENVIRONMENT,
    )
