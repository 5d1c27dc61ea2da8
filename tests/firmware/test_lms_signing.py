# SPDX-License-Identifier: Apache-2.0
"""Building and signing for boards that ask for an LMS signature, as a person does it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec

from attest import lms_keys
from attest.cli import keys_group
from firmware.bundle.folder import BundleError, load_bundle
from firmware.image.trust import LMS_KEYS_MAX, Trust, TrustedKey, TrustedLmsKey, TrustError
from firmware.image.trust_file import load_trust
from tests.firmware.test_signing import FIRST, ROOT, coffret, says, write_key, write_public
from tests.lms import make_lms_key

HELLO = (ROOT / "examples/hello", "--board", "mps2-an385")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, and `trust.toml`, whose boot asks for lms.key or lms-next.key."""
    folder = tmp_path_factory.mktemp("lms")
    make_lms_key(folder / "lms.key")
    make_lms_key(folder / "lms-next.key", b"next", real=4)
    make_lms_key(folder / "lms-foreign.key", b"foreign", real=4)
    for name in ("lms", "lms-next"):
        public = lms_keys.load(folder / f"{name}.key").public_key
        (folder / f"{name}.pub.pem").write_text(public.pem())
    write_key(folder / "first.pem", FIRST)
    write_public(folder / "first.pub.pem", FIRST.public_key())
    (folder / "trust.toml").write_text(
        'post_quantum = true\n[[key]]\nfile = "first.pub.pem"\n'
        '[[lms_key]]\nfile = "lms.pub.pem"\n'
        '[[lms_key]]\nfile = "lms-next.pub.pem"\ngeneration = 2\n'
    )
    (folder / "plain.toml").write_text('[[key]]\nfile = "first.pub.pem"\n')
    return folder


@pytest.fixture(scope="module")
def waiting(folder: Path) -> Path:
    """A bundle of that policy that nobody has signed."""
    bundle = folder / "waiting"
    done = coffret(
        *("build", *HELLO, "-o", bundle, "--trust", folder / "trust.toml"),
        *("--unsigned", "--public-key", folder / "first.pub.pem"),
    )
    assert done.exit_code == 0, done.output
    return bundle


@pytest.fixture
def bundle(waiting: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(waiting, tmp_path / "bundle"))


def leaves(bundle: Path) -> list[int]:
    images = load_bundle(bundle).images
    return [int.from_bytes(image.lms.value[:4], "big") for image in images if image.lms]


def test_build_signs_with_both_keys_and_each_image_has_a_leaf_of_its_own(
    folder: Path, tmp_path: Path
) -> None:
    used = 1024 - lms_keys.load(folder / "lms.key").remaining
    done = coffret(
        *("build", *HELLO, "-o", tmp_path / "b", "--trust", folder / "trust.toml"),
        *("--key", folder / "first.pem", "--lms-key", folder / "lms.key"),
    )
    assert done.exit_code == 0, done.output
    assert leaves(tmp_path / "b") == [used, used + 1]
    assert lms_keys.load(folder / "lms.key").remaining == 1024 - used - 2
    again = coffret("rebuild", tmp_path / "b", "--key", folder / "first.pem")
    says(again, 0, ["reproduces (signatures and boot left out: LMS signatures are others"])
    says(coffret("inspect", tmp_path / "b"), 0, [f"LMS key, slot B: leaf {used + 1}"])


def test_policy_without_an_lms_key_fails_at_build(folder: Path, tmp_path: Path) -> None:
    done = coffret(
        *("build", *HELLO, "-o", tmp_path / "b", "--trust", folder / "trust.toml"),
        *("--key", folder / "first.pem"),
    )
    says(done, 2, ["boot asks for an LMS signature", "there is no LMS key", "--lms-key"])
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("trust", "key", "words"),
    [
        ("trust.toml", "lms-foreign.key", "asks for another LMS key"),
        ("plain.toml", "lms.key", "asks for no LMS signature"),
    ],
)
def test_lms_key_that_boot_does_not_ask_for_fails_at_build_and_uses_no_leaf(
    folder: Path, tmp_path: Path, trust: str, key: str, words: str
) -> None:
    before = lms_keys.load(folder / key).remaining
    done = coffret(
        *("build", *HELLO, "-o", tmp_path / "b", "--trust", folder / trust),
        *("--key", folder / "first.pem", "--lms-key", folder / key),
    )
    says(done, 2, [words, "[[lms_key]]"])
    assert lms_keys.load(folder / key).remaining == before


def test_lms_key_signs_elsewhere_before_the_last_key(bundle: Path, folder: Path) -> None:
    first, lms = folder / "first.pem", folder / "lms-next.key"
    says(coffret("sign", bundle, "--key", first), 2, ["asks for an LMS signature", "--lms-key"])
    foreign = folder / "lms-foreign.key"
    says(coffret("sign", bundle, "--lms-key", foreign), 2, ["asks for another LMS key"])
    assert lms_keys.load(foreign).remaining == 1024
    says(coffret("sign", bundle, "--lms-key", lms), 0, ["one of LMS", "waiting for"])
    says(coffret("sign", bundle, "--lms-key", lms), 2, ["it has an LMS signature"])
    says(coffret("sign", bundle, "--key", first), 0, ["one of LMS", "finished"])
    assert len(leaves(bundle)) == 2


def test_both_keys_sign_in_one_go(bundle: Path, folder: Path) -> None:
    done = coffret(
        *("sign", bundle, "--key", folder / "first.pem", "--lms-key", folder / "lms.key", "--json")
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.output)
    assert (document["lms"], document["finished"], document["signatures"]) == (True, True, 1)
    load_bundle(bundle)


def test_bundle_whose_lms_signature_was_changed_is_refused(bundle: Path, folder: Path) -> None:
    done = coffret(
        *("sign", bundle, "--key", folder / "first.pem", "--lms-key", folder / "lms.key")
    )
    assert done.exit_code == 0, done.output
    found = load_bundle(bundle)
    path, facts = found.path("slot_a"), json.loads((bundle / "bundle.json").read_bytes())
    image = path.read_bytes()
    lms = found.images[0].lms
    assert lms is not None
    other = bytes([lms.value[-1] ^ 1])
    at = image.index(lms.value) + len(lms.value) - 1
    path.write_bytes(image[:at] + other + image[at + 1 :])
    facts["contents"]["slot_a.bin"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="LMS signature is wrong"):
        load_bundle(bundle)


# ---- trust.toml ----


def test_trust_file_names_lms_keys(folder: Path) -> None:
    trust = load_trust(folder / "trust.toml")
    assert trust.post_quantum
    assert [key.generation for key in trust.lms_keys] == [0, 2]
    assert trust.lms_keys[0].key == lms_keys.load(folder / "lms.key").public_key
    assert not load_trust(folder / "plain.toml").post_quantum


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("post_quantum = true\n", "no LMS key to ask for"),
        ("[[lms_key]]\nfile = 'lms.pub.pem'\n", "which nobody asks for"),
        ("post_quantum = true\n[[lms_key]]\nfile = 'first.pub.pem'\n", "first.pub.pem: it is no"),
        ("post_quantum = true\n[[lms_key]]\nfile = 'lms.key'\n", "lms.key: it is no PEM"),
        ("post_quantum = true\n[[lms_key]]\nfile = 'no.pem'\n", "no.pem: no such file"),
        ("post_quantum = 1\n", "post_quantum"),
        (
            "post_quantum = true\n" + 2 * "[[lms_key]]\nfile = 'lms.pub.pem'\n",
            "listed twice",
        ),
        (
            "post_quantum = true\n[[lms_key]]\nfile = 'lms.pub.pem'\ngeneration = 65536\n",
            "generation 65536",
        ),
    ],
)
def test_policy_that_cannot_work_is_refused(folder: Path, text: str, words: str) -> None:
    file = folder / "wrong.toml"
    file.write_text(text + "[[key]]\nfile = 'first.pub.pem'\n")
    with pytest.raises(TrustError, match=words):
        load_trust(file)


def test_more_lms_keys_than_boot_has_room_for_are_refused(tmp_path: Path) -> None:
    keys = (
        make_lms_key(tmp_path / f"lms-{n}.key", bytes([n]), real=0) for n in range(LMS_KEYS_MAX + 1)
    )
    public = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    lms = tuple(TrustedLmsKey(key.public_key) for key in keys)
    Trust((TrustedKey(public),), lms_keys=lms[:-1])
    with pytest.raises(TrustError, match=f"boot: {LMS_KEYS_MAX + 1} LMS keys"):
        Trust((TrustedKey(public),), lms_keys=lms)


# ---- the keys' own verbs ----


def test_keys_are_shown_without_their_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COFFRET_KEYS", str(folder))
    key = lms_keys.load(folder / "lms.key")
    seed = json.loads(key.path.read_bytes())["seed"]
    run = CliRunner()
    shown = run.invoke(keys_group, ["show", "lms"]).output
    listed = run.invoke(keys_group, ["list", "--json"]).output
    public = run.invoke(keys_group, ["public", "lms"]).output
    assert f"{key.remaining} signatures left" in shown
    assert {"lms", "lms-next", "lms-foreign"} <= {each["role"] for each in json.loads(listed)}
    assert public == key.public_key.pem()
    assert seed not in shown + listed + public
