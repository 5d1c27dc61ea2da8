# SPDX-License-Identifier: Apache-2.0
"""An auditor with a bundle alone: the assertions in it are those its images are signed for."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from boards.errors import NO
from enclaves.audit_cli import audit
from enclaves.flows_cli import flows
from firmware.appliance.problems import ApplianceError
from firmware.bundle.auditor import bundle_assertions
from firmware.bundle.facts import Facts
from firmware.bundle.folder import Bundle, BundleError, load_bundle
from firmware.bundle.provenance import provenance
from firmware.image.signer import LocalSigner
from tests.firmware.builds import REPOSITORY, TEST_KEY, build_bundle

DIARY = REPOSITORY / "examples" / "heart_diary"
PROVENANCE = "provenance.intoto.jsonl"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build_bundle(DIARY, tmp_path_factory.mktemp("diary"))


@pytest.fixture
def copy(built: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built.folder, tmp_path / "bundle"))


def record(folder: Path, name: str, data: bytes | None) -> None:
    """Puts a file into a bundle as its maker would, or takes it away, signatures aside."""
    facts = folder / "bundle.json"
    document = json.loads(facts.read_bytes())
    if data is None:
        (folder / name).unlink()
        del document["contents"][name]
    else:
        (folder / name).write_bytes(data)
        document["contents"][name] = hashlib.sha256(data).hexdigest()
    # Signed again, so that the statement of how it was built is not what stops it.
    del document["contents"][PROVENANCE]
    built_as = Facts.model_validate(document)
    statement = provenance(built_as, document["contents"], LocalSigner(TEST_KEY))
    (folder / PROVENANCE).write_bytes(statement)
    document["contents"][PROVENANCE] = hashlib.sha256(statement).hexdigest()
    facts.write_text(json.dumps(document))


def test_an_auditor_asks_the_same_again(built: Bundle) -> None:
    done = CliRunner().invoke(audit, [str(built.folder)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "Alice's heart rate can leave by USB only as coach.weekly, at most 16 bytes once a week.",
        "3 assertions of policy.toml: all hold",
    ]
    full = CliRunner().invoke(audit, [str(built.folder), "--full", "--json"])
    document = json.loads(full.stdout)
    assert document["policy"] == built.facts.digests.policy
    assert "  releases alice/health" in document["lines"]


def test_the_bundle_allows_what_its_appliance_does(built: Bundle) -> None:
    done = CliRunner().invoke(flows, ["--diff", str(DIARY), str(built.folder)])
    assert (done.exit_code, done.stdout) == (0, "nothing changes\n")


def test_an_auditor_has_questions_of_their_own(built: Bundle, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[[send]]\nto = "usb"\nonly = "coach"\n')
    done = CliRunner().invoke(audit, [str(built.folder), "--policy", str(mine)])
    assert done.exit_code == NO
    assert "send[0]: uplink -> usb is a channel" in done.stderr


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "it is missing, and the images are signed for it"),
        (b"", "it is not the one that the images are signed for"),
        (b'[[reach]]\nowner = "alice"\nto = "usb"\n', "it is not the one"),
    ],
)
def test_assertions_cannot_be_changed_or_taken_away(
    copy: Path, data: bytes | None, why: str
) -> None:
    record(copy, "policy.toml", data)
    with pytest.raises(BundleError) as caught:
        bundle_assertions(load_bundle(copy))
    assert caught.value.exit_code == NO
    assert why in str(caught.value)


def test_a_build_whose_assertions_are_broken_is_refused(tmp_path: Path) -> None:
    appliance = Path(shutil.copytree(DIARY, tmp_path / "heart_diary"))
    (appliance / "policy.toml").write_text('[[reach]]\nowner = "alice"\nto = "usb"\n')
    with pytest.raises(ApplianceError) as caught:
        build_bundle(appliance, tmp_path / "out")
    assert caught.value.exit_code == NO
    assert not (tmp_path / "out/bundle").exists()
