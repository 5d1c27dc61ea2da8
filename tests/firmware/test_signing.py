# SPDX-License-Identifier: Apache-2.0
"""Signing as companies do it: elsewhere, by several, and with keys that never leave a token."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from attest import corim
from boards.errors import CoffretError
from firmware.bundle.folder import BundleError, load_bundle
from firmware.bundle.recorded_trust import read_trust, recorded_trust
from firmware.cli import mount
from firmware.image.lms import LmsPublicKey
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey, TrustError, key_hash
from firmware.image.trust_file import load_trust
from tests.softhsm import new_token

ROOT = Path(__file__).parents[2]
FIRST, SECOND = (ec.derive_private_key(number, ec.SECP256R1()) for number in (41, 42))


@dataclass(frozen=True, slots=True)
class Done:
    """How a verb ended, as the front door would say it."""

    exit_code: int
    output: str


def coffret(*arguments: str | Path) -> Done:
    verbs = click.Group()
    mount(verbs)
    result = CliRunner().invoke(verbs, [str(argument) for argument in arguments])
    if isinstance(result.exception, CoffretError):
        return Done(result.exception.exit_code, result.exception.text())
    return Done(result.exit_code, f"{result.output}{result.exception or ''}")


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def write_public(path: Path, key: ec.EllipticCurvePublicKey) -> Path:
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def built_for(key: ec.EllipticCurvePublicKey, folder: Path) -> Path:
    public = write_public(folder / "public.pem", key)
    bundle = folder / "bundle"
    done = coffret(
        *("build", ROOT / "examples/hello", "--board", "mps2-an385", "-o", bundle),
        *("--unsigned", "--public-key", public),
    )
    assert done.exit_code == 0, done.output
    return bundle


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for FIRST that nobody has signed."""
    return built_for(FIRST.public_key(), tmp_path_factory.mktemp("unsigned"))


@pytest.fixture
def bundle(waiting: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(waiting, tmp_path / "bundle"))


def says(done: Done, code: int, words: Sequence[str]) -> None:
    assert done.exit_code == code, done.output
    assert all(word in done.output for word in words), done.output


def test_unsigned_bundle_is_refused_until_it_is_signed(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="it is not signed"):
        load_bundle(bundle)
    before = load_bundle(bundle, unsigned=True).facts.digests
    assert coffret("sign", bundle, "--key", write_key(tmp_path / "k", FIRST)).exit_code == 0
    signed = load_bundle(bundle)
    assert signed.facts.digests == before, "signing changes no digest"
    corim.read(signed.path("corim").read_bytes(), FIRST.public_key())


def test_others_sign_first_and_its_own_key_finishes_the_bundle(
    bundle: Path, tmp_path: Path
) -> None:
    first, second = write_key(tmp_path / "1", FIRST), write_key(tmp_path / "2", SECOND)
    says(coffret("sign", bundle, "--key", second), 0, ["waiting for"])
    with pytest.raises(BundleError, match="another key signed it"):
        load_bundle(bundle)
    says(coffret("sign", bundle, "--key", second), 2, ["signed it already"])
    says(coffret("sign", bundle, "--key", first), 0, ["finished"])
    for image in load_bundle(bundle).images:
        hashes = [signature.key_hash for signature in image.signatures]
        assert hashes == [key_hash(FIRST.public_key()), key_hash(SECOND.public_key())]


def test_finished_bundle_takes_no_more_signatures(bundle: Path, tmp_path: Path) -> None:
    first, second = write_key(tmp_path / "1", FIRST), write_key(tmp_path / "2", SECOND)
    assert coffret("sign", bundle, "--key", first).exit_code == 0
    for key in (first, second):
        says(coffret("sign", bundle, "--key", key), 2, ["vouched for these very files"])


def test_build_wants_a_public_key_for_who_signs_later() -> None:
    asked = coffret("build", ROOT / "examples/hello", "--board", "mps2-an385", "--unsigned")
    says(asked, 2, ["--public-key"])


# ---- a token ----


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new SoftHSM token with a P-256 key; its URI."""
    made = new_token(tmp_path, monkeypatch, "release")
    from pkcs11 import Attribute, KeyType  # noqa: PLC0415
    from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415

    with made.session() as session:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
        parameters.generate_keypair(store=True, label="images")
    return made.uri("images")


def test_key_in_a_token_signs_images_and_reference_values(token: str, tmp_path: Path) -> None:
    from firmware.image.token_key import open_token_key  # noqa: PLC0415

    with open_token_key(token) as key:
        public = key.public_key()
    bundle = built_for(public, tmp_path)
    done = coffret("sign", bundle, "--key", token)
    assert done.exit_code == 0, done.output
    signed = load_bundle(bundle)
    assert signed.images[0].key_hash == key_hash(public)
    corim.read(signed.path("corim").read_bytes(), public)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=release", "names no module"),
        ("pkcs11:token=a;object=b?module-path=/nowhere.so", "nowhere"),
    ],
)
def test_token_that_is_not_there_is_an_error_in_words(bundle: Path, uri: str, words: str) -> None:
    refused = coffret("sign", bundle, "--key", uri)
    assert refused.exit_code in (2, 3)
    assert words in refused.output


# ---- trust.toml ----


def test_trust_file_names_keys_generations_and_roles(tmp_path: Path) -> None:
    write_public(tmp_path / "a.pem", FIRST.public_key())
    write_public(tmp_path / "b.pem", SECOND.public_key())
    file = tmp_path / "trust.toml"
    file.write_text(
        'threshold = 2\n[[key]]\nfile = "a.pem"\ngeneration = 3\n'
        '[[key]]\nfile = "b.pem"\nrole = "development"\n'
    )
    trust = load_trust(file)
    assert (trust.threshold, trust.decommission) == (2, True)
    assert [(key.generation, key.development) for key in trust.keys] == [(3, False), (0, True)]


def test_trust_file_may_forbid_to_end_a_device(tmp_path: Path) -> None:
    write_public(tmp_path / "a.pem", FIRST.public_key())
    file = tmp_path / "trust.toml"
    file.write_text('decommission = false\n[[key]]\nfile = "a.pem"\n')
    assert not load_trust(file).decommission


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "key"),
        ("threshold = 2\n[[key]]\nfile = 'a.pem'\n", "2 signatures of 1 keys"),
        ("[[key]]\nfile = 'missing.pem'\n", "missing.pem"),
        ("[[key]]\nfile = 'a.pem'\nrole = 'boss'\n", "role"),
        ("[[key", "trust.toml"),
    ],
)
def test_trust_file_that_cannot_work_is_refused(tmp_path: Path, text: str, words: str) -> None:
    write_public(tmp_path / "a.pem", FIRST.public_key())
    file = tmp_path / "trust.toml"
    file.write_text(text)
    with pytest.raises(TrustError, match=words):
        load_trust(file)


def trusting(folder: Path, threshold: int) -> Path:
    """A trust file: FIRST of generation 1, SECOND for the bench, and a third."""
    third = ec.derive_private_key(43, ec.SECP256R1()).public_key()
    write_public(folder / "first.pem", FIRST.public_key())
    write_public(folder / "second.pem", SECOND.public_key())
    write_public(folder / "third.pem", third)
    file = folder / "trust.toml"
    file.write_text(
        f"threshold = {threshold}\n"
        '[[key]]\nfile = "first.pem"\ngeneration = 1\n'
        '[[key]]\nfile = "second.pem"\nrole = "development"\n'
        '[[key]]\nfile = "third.pem"\n'
    )
    return file


def test_whom_boot_trusts_is_an_input_that_a_rebuild_uses_again(tmp_path: Path) -> None:
    """Somebody else's key signs the second build: boot is the same, for its keys are recorded."""
    key, other = write_key(tmp_path / "1.pem", FIRST), write_key(tmp_path / "2.pem", SECOND)
    bundle = tmp_path / "bundle"
    build = ("build", ROOT / "examples/hello", "--board", "mps2-an385", "-o", bundle)
    done = coffret(*build, "--key", key, "--trust", trusting(tmp_path, 1))
    assert done.exit_code == 0, done.output
    facts = load_bundle(bundle).facts
    assert facts.inputs["trust.json"] == facts.contents["trust.json"]
    told = (bundle / "trust.json").read_text()
    assert "PRIVATE" not in told and str(tmp_path) not in told
    again = coffret("rebuild", bundle, "--key", other)
    assert again.exit_code == 0, again.output
    assert "reproduces (signatures left out" in again.output
    assert read_trust(bundle / "trust.json") == load_trust(tmp_path / "trust.toml")


@pytest.mark.all
def test_a_boot_that_trusts_others_than_it_says_does_not_reproduce(tmp_path: Path) -> None:
    """The liar writes a trust file of their own into the bundle, and its digest with it."""
    key = write_key(tmp_path / "1.pem", FIRST)
    build = ("build", ROOT / "examples/hello", "--board", "mps2-an385", "--key", key)
    trust = trusting(tmp_path, 1)
    assert coffret(*build, "-o", tmp_path / "honest", "--trust", trust).exit_code == 0
    trust.write_text(trust.read_text().replace('role = "development"\n', ""))
    assert coffret(*build, "-o", tmp_path / "lying", "--trust", trust).exit_code == 0
    assert coffret("rebuild", tmp_path / "lying", "--key", key).exit_code == 0
    mixed = tmp_path / "mixed"
    shutil.copytree(tmp_path / "lying", mixed)
    honest = tmp_path / "honest"
    swapped = ("trust.json", "bundle.json", "provenance.intoto.jsonl", "corim.cbor")
    for name in swapped:
        shutil.copy(honest / name, mixed / name)
    assert coffret("rebuild", mixed, "--key", key).exit_code == 1  # its boot is not what it says


@pytest.mark.all
def test_a_bundle_that_two_signed_reproduces_but_for_the_signatures(tmp_path: Path) -> None:
    first, other = write_key(tmp_path / "1.pem", FIRST), write_key(tmp_path / "2.pem", SECOND)
    bundle = tmp_path / "bundle"
    done = coffret(
        *("build", ROOT / "examples/hello", "--board", "mps2-an385", "-o", bundle),
        *("--unsigned", "--public-key", write_public(tmp_path / "public.pem", FIRST.public_key())),
        *("--trust", trusting(tmp_path, 2)),
    )
    assert done.exit_code == 0, done.output
    for key in (other, first):
        assert coffret("sign", bundle, "--key", key).exit_code == 0
    again = coffret("rebuild", bundle, "--key", first)
    assert again.exit_code == 0, again.output
    assert "signatures left out" in again.output


def test_a_trust_record_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trust.json"
    good = recorded_trust(load_trust(trusting(tmp_path, 1)))
    bad = [
        b"",
        b"[]",
        good[:-20],
        good.replace(b'"threshold": 1', b'"threshold": 9'),
        good.replace(b'"threshold": 1', b'"threshold": "1"'),
        good.replace(b'"release"', b'"king"'),
        good.replace(b'"04', b'"05'),
        good.replace(b'"generation": 1', b'"generation": -1'),
        good.replace(b'"lms_keys": []', b'"lms_keys": [{"public_key": "00"}]'),
        good.replace(b'"threshold"', b'"more": 1, "threshold"'),
    ]
    for content in bad:
        assert content != good
        file.write_bytes(content)
        with pytest.raises(CoffretError) as caught:
            read_trust(file)
        assert str(file) in caught.value.message
    whole = Trust(
        (TrustedKey(FIRST.public_key(), 3), TrustedKey(SECOND.public_key(), 0, True)),
        2,
        (TrustedLmsKey(LmsPublicKey(bytes(16), bytes(range(32))), 7, True),),
        decommission=False,
    )
    assert {each.name for each in fields(Trust)} == {
        *("keys", "threshold", "lms_keys", "decommission")  # one more: record it too
    }
    file.write_bytes(recorded_trust(whole))
    assert read_trust(file) == whole
