# SPDX-License-Identifier: Apache-2.0
"""A bundle that goes through a part's ROM: nobody after this judges its boot, so it is judged here.

An image is verified by the board's boot. Boot itself is what a new board begins with: one that was
swapped in the bundle would hold the device's secret and could claim anything.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flasher.bundle import FACTS_FILE, Bundle, read_bundle
from flasher.flash import Say


@contextmanager
def checked(folder: Path, say: Say) -> Iterator[Bundle]:
    """A copy of one's own of a bundle, checked as a whole: digests, images, signed provenance.

    What is written is what was checked, whoever has write access to `folder`. Whose bundle it is
    goes to `say`. Raises BundleError, BadFileError.
    """
    from firmware.bundle.folder import load_bundle  # noqa: PLC0415 - pydantic is slow to import

    read_bundle(folder)  # what is no bundle at all is told by the name that was given
    names = load_bundle(folder).facts.contents
    with tempfile.TemporaryDirectory(prefix="coffret-") as private:
        own = Path(private) / folder.resolve().name
        for name in (FACTS_FILE, *names):
            (own / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, own / name)
        facts = load_bundle(own).facts
        say(f"boot and images: of the bundle that {facts.reference.signer_id[:16]}… signed")
        yield read_bundle(own)
