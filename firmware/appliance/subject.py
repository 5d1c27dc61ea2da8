# SPDX-License-Identifier: Apache-2.0
"""What one can ask questions of: an appliance, a bundle, or a policy document by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from boards.errors import NO, USAGE, CoffretError
from enclaves.policy import Policy
from enclaves.policy_reader import PolicyError, read_policy
from enclaves.report import Consent
from firmware.appliance import flows
from firmware.appliance.manifest import Manifest
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import Problem
from firmware.bundle.folder import FACTS_FILE, Bundle, load_bundle

POLICY_SUFFIX = ".cbor"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy and where it is from. `consents` and `problems` are known of an appliance only."""

    policy: Policy
    manifest: Manifest | None = None
    consents: dict[str, Consent] = field(default_factory=dict)
    ungranted: tuple[Problem, ...] = ()


def load_subject(path: Path) -> Subject:
    """The policy of an appliance's folder or manifest, a bundle, or a `policy.cbor`.

    A bundle is checked as a whole. Grants that an appliance lacks are told, not refused. Raises
    ApplianceError, BundleError, CoffretError for what cannot be read.
    """
    if (path / FACTS_FILE).is_file():
        return Subject(bundle_policy(load_bundle(path)))
    if path.suffix == POLICY_SUFFIX:
        return Subject(_document(path, USAGE))
    manifest = load(path)
    verified, ungranted = flows.verified_grants(manifest, datetime.now(UTC))
    policy = flows.policy_of(manifest, flows.flow_graph(manifest), verified)
    return Subject(policy, manifest, flows.consents_of(manifest, verified), tuple(ungranted))


def bundle_policy(bundle: Bundle) -> Policy:
    """The policy that the images of a checked bundle are signed for."""
    return _document(bundle.path("policy"), NO)


def _document(path: Path, exit_code: int) -> Policy:
    try:
        with path.open("rb") as file:
            return read_policy(file.read(_MAX_BYTES + 1))
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
    except PolicyError as error:
        what = str(error)
    mend = "name an appliance, a bundle, or the policy.cbor of a bundle"
    raise CoffretError(f"{path}: {what}", mend, exit_code)
