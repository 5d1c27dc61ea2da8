# SPDX-License-Identifier: Apache-2.0
"""The assertions in a bundle, tied to its signed images by the bill of materials."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from boards.errors import NO
from firmware.appliance.assertion_file import FILE_NAME, AssertionFile, read_assertions
from firmware.bundle.folder import Bundle, BundleError

_MEND = "do not trust this bundle; have its maker build it again"


def bundle_assertions(bundle: Bundle) -> AssertionFile | None:
    """The `policy.toml` that the images are signed for, None if they are signed for none.

    The SBOM, whose digest the images sign, names the file with its SHA-256: so nobody can take it
    away, put another one in, or add one. Raises BundleError (1) where the two differ,
    ApplianceError for a file that is malformed.
    """
    path = bundle.folder / FILE_NAME
    asked = read_assertions(path)
    found = hashlib.sha256(asked.data).hexdigest() if asked else None
    signed = _signed_digest(bundle)
    if found != signed:
        if signed is None:
            what = "the images are not signed for it"
        elif found is None:
            what = "it is missing, and the images are signed for it"
        else:
            what = "it is not the one that the images are signed for"
        raise BundleError(f"{path}: {what}", _MEND, NO)
    return asked


def _signed_digest(bundle: Bundle) -> str | None:
    try:
        document: Any = json.loads(bundle.path("sbom").read_bytes())
        for component in document.get("components", ()):
            if (component["type"], component["name"]) == ("file", FILE_NAME):
                return str(component["hashes"][0]["content"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BundleError(f"{bundle.path('sbom')}: is malformed", _MEND, NO) from None
    return None
