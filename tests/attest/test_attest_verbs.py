# SPDX-License-Identifier: Apache-2.0
"""The verbs keys, verify and inventory, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner, Result
from simulated_device import (
    GOOD,
    GOOD_ENDORSEMENT,
    NONCE,
    OPERATOR,
    REFERENCES,
    SIGNER,
    digest,
    expectations,
    private_key,
)

import attest
from attest import cli, corim, keys, response
from attest.report import lines
from boards.errors import CoffretError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COFFRET_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("COFFRET_INVENTORY", str(tmp_path / "inventory.sqlite"))

    @click.group()
    def door() -> None:
        """A front door."""

    cli.mount(door)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(door, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    signed = corim.sign(corim.reference_values(REFERENCES), SIGNER, "coffret")
    (folder / "corim.cbor").write_bytes(signed)
    return folder


def test_keys_are_made_listed_and_shown_without_their_secret(run: Run, tmp_path: Path) -> None:
    made = json.loads(run("keys", "new", "operator", "--json").stdout)
    listed = json.loads(run("keys", "list", "--json").stdout)
    shown = json.loads(run("keys", "show", "operator", "--json").stdout)
    assert listed == [made]
    assert shown == made
    public = run("keys", "public", "operator").stdout
    assert public.startswith("-----BEGIN PUBLIC KEY-----")
    pem = (tmp_path / "keys" / "operator.pem").read_text()
    for line in pem.splitlines()[1:-1]:
        assert (
            line not in public + run("keys", "list").stdout + run("keys", "show", "operator").stdout
        )


def test_key_errors_reach_the_front_door(run: Run) -> None:
    assert isinstance(run("keys", "new", "king").exception, CoffretError)
    assert isinstance(run("keys", "show", "operator").exception, CoffretError)


def stored(tmp_path: Path, evidence: attest.Response) -> Path:
    path = tmp_path / "evidence.cbor"
    response.save(path, evidence)
    return path


def test_stored_evidence_of_an_inventoried_device_verifies(
    run: Run, bundle: Path, tmp_path: Path
) -> None:
    operator = keys.create("operator")
    inventory = attest.open_inventory()
    attest.endorse(GOOD.identity_facts, operator.private, inventory, name="kitchen")
    path = stored(tmp_path, GOOD.answer())
    result = run("verify", path, "--nonce", NONCE.hex(), "--bundle", bundle)
    assert result.exit_code == 0, result.output
    assert "trusted" in result.stdout
    shown = json.loads(run("inventory", "show", "kitchen", "--json").stdout)
    assert shown["device"] == GOOD.identity_facts.instance_id.hex()
    assert json.loads(run("inventory", "list", "--json").stdout)[0]["name"] == "kitchen"


def test_third_party_verifies_with_the_bundle_and_public_keys_alone(
    run: Run, bundle: Path, tmp_path: Path
) -> None:
    operator = keys.create("operator", tmp_path / "elsewhere")
    public = tmp_path / "operator.pub"
    public.write_text(keys.public_pem(operator.public))
    maker = tmp_path / "maker.pub"
    maker.write_text(keys.public_pem(SIGNER.public_key()))
    path = stored(tmp_path, replace(GOOD.answer(), endorsement=GOOD.endorsed_by(operator.private)))
    arguments = ("verify", path, "--nonce", NONCE.hex(), "--bundle", bundle, "--json")
    trusting = ("--operator-key", public, "--signing-key", maker)
    result = run(*arguments, *trusting)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["verdict"] == "trusted"
    assert not (tmp_path / "inventory.sqlite").exists()
    # Without the operator's key nothing vouches for the device.
    assert json.loads(run(*arguments).stdout)["verdict"] == "unknown"
    # Reference values that somebody else signed are not used at all.
    maker.write_text(keys.public_pem(private_key(3).public_key()))
    assert isinstance(run(*arguments, *trusting).exception, CoffretError)


def test_it_is_said_whether_the_reference_values_are_anybodys(
    run: Run, bundle: Path, tmp_path: Path
) -> None:
    path = stored(tmp_path, GOOD.answer())
    arguments = ("verify", path, "--nonce", NONCE.hex(), "--bundle", bundle)
    assert "NOT checked" in run(*arguments).stdout.splitlines()[0]
    keys.create("signing")  # one's own, which did not sign this bundle
    assert "NOT checked" in run(*arguments).stdout.splitlines()[0]
    said = json.loads(run(*arguments, "--json").stdout)["reference_values"]
    assert said == {"checked": False, "signer": None}
    own = keys.load("signing")
    signed = corim.sign(corim.reference_values(REFERENCES), own.private, "coffret")
    (bundle / "corim.cbor").write_bytes(signed)
    said = json.loads(run(*arguments, "--json").stdout)["reference_values"]
    assert said == {"checked": True, "signer": own.key_hash.hex()}
    assert own.key_hash.hex()[:16] in run(*arguments, "--explain").stdout.splitlines()[0]


def test_another_image_exits_1_and_names_the_claim(run: Run, bundle: Path, tmp_path: Path) -> None:
    operator = keys.create("operator")
    endorsed = GOOD.endorsed_by(operator.private)
    evil = replace(GOOD, image=digest("evil"))
    path = stored(tmp_path, replace(evil.answer(), endorsement=endorsed))
    result = run("verify", path, "--nonce", NONCE.hex(), "--bundle", bundle, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["verdict"] == "untrusted"
    assert [claim["claim"] for claim in document["claims"] if not claim["ok"]] == ["appliance"]


@pytest.mark.parametrize("nonce", ["zz", "0", "00 g"])
def test_nonce_that_is_no_hex_is_a_usage_error(
    run: Run, bundle: Path, tmp_path: Path, nonce: str
) -> None:
    result = run("verify", stored(tmp_path, GOOD.answer()), "--nonce", nonce, "--bundle", bundle)
    assert isinstance(result.exception, CoffretError)
    assert result.exception.exit_code == 2


def test_file_that_is_no_evidence_is_named(run: Run, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "evidence.cbor"
    for content in (b"", b"\xff" * 10, bytes(100_000)):
        path.write_bytes(content)
        result = run("verify", path, "--nonce", NONCE.hex(), "--bundle", bundle)
        assert isinstance(result.exception, CoffretError)
        assert str(path) in result.exception.message


def test_report_says_which_claim_and_why_in_words() -> None:
    evil = replace(GOOD, policy=digest("leaky"))
    text = lines(attest.appraise(evil.answer(), expectations()), "kitchen")
    assert any("policy" in line and "other data may leave" in line for line in text)
    assert text[-1] == "kitchen: untrusted; do not rely on it: policy differ(s)."


def test_report_lets_no_control_character_through() -> None:
    verdict = attest.Verdict(
        "?", (attest.Claim("evidence", "\x1b[2J", "\x07", attest.Outcome.WRONG, "\r\nfine"),)
    )
    assert all(line.isprintable() for line in lines(verdict))


@pytest.fixture
def third_party(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Arguments of somebody with the bundle, the public keys and a saved file, and nothing else."""
    away = tmp_path / "away"
    for variable in ("COFFRET_KEYS", "COFFRET_INVENTORY", "HOME"):
        monkeypatch.setenv(variable, str(away / variable))
    saved = replace(GOOD.answer(), endorsement=GOOD_ENDORSEMENT)
    (tmp_path / "saved.cbor").write_bytes(response.pack(saved))
    for role, key in (("operator", OPERATOR), ("signing", SIGNER)):
        (tmp_path / f"{role}.pem").write_text(keys.public_pem(key.public_key()))
    return [
        *("verify", tmp_path / "saved.cbor", "--nonce", NONCE.hex(), "--bundle", bundle),
        *("--operator-key", tmp_path / "operator.pem"),
        *("--signing-key", tmp_path / "signing.pem"),
    ]


def test_a_third_party_verifies_a_saved_file_offline(
    run: Run, third_party: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("verify opened a socket")

    monkeypatch.setattr("socket.socket.__init__", no_network)
    done = run(*third_party)
    assert done.exit_code == 0, done.output
    assert "trusted; every claim is as expected" in done.stdout
    assert not (tmp_path / "away").exists()  # nor did it make keys or an inventory


def test_verify_asks_what_the_policy_asks_and_signs_the_result(
    run: Run, third_party: list[object], tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('name = "mine"\nversions = ["2.0.0"]\n')
    for name in ("result.jwt", "result.cwt"):
        asked = [*third_party, "--policy", policy, "--result", tmp_path / name, "--explain"]
        done = run(*asked, "--keys", tmp_path / "verifier")
        assert done.exit_code == 1
        assert "Do not rely on this device." in done.stdout
        assert "does not accept" in done.stdout
        read = run("result", tmp_path / name, "--keys", tmp_path / "verifier", "--json")
        assert read.exit_code == 1
        document = json.loads(read.stdout)
        assert document["status"] == "contraindicated"
        assert document["vector"]["executables"] == 96
        assert document["policies"][0].startswith("mine@")
        public = tmp_path / "stranger.pem"
        public.write_text(keys.public_pem(private_key(5).public_key()))
        refused = run("result", tmp_path / name, "--verifier-key", public)
        assert isinstance(refused.exception, CoffretError)
        assert refused.exception.exit_code == 1


def test_an_appraised_result_can_be_affirming(
    run: Run, third_party: list[object], tmp_path: Path
) -> None:
    result = [*third_party, "--result", tmp_path / "r.jwt", "--dialect", "veraison"]
    assert run(*result, "--keys", tmp_path / "verifier").exit_code == 0
    read = run("result", tmp_path / "r.jwt", "--keys", tmp_path / "verifier", "--json")
    assert read.exit_code == 0
    assert json.loads(read.stdout)["profile"] == "tag:github.com,2023:veraison/ear"
