# SPDX-License-Identifier: Apache-2.0
"""Two verifiers that compare notes cannot tell that they saw one device; each knows it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest import keys, pairwise, psa_claims, psa_token, response
from attest.endorsement import board_of
from enclaves import cbor, cose
from flasher.bundle import read_bundle
from flasher.run import board_of as switched_on
from flasher.smp import Board
from tests.acceptance.conftest import EXAMPLES, User
from tests.attest.cddl import schema

pytestmark = pytest.mark.all

NONCE = "11" * 32
BANK, CLINIC = "https://bank.example", "clinic"

# What two verifiers may have in common: each device with the image says it, or their operator.
COMMON_CLAIMS = {
    psa_claims.PROFILE,
    psa_claims.CLIENT_ID,
    psa_claims.LIFECYCLE,
    psa_claims.IMPLEMENTATION_ID,
    psa_claims.COMPONENTS,
}
OWN_CLAIMS = {psa_claims.NONCE, psa_claims.INSTANCE_ID}
OWN_WORDS = {pairwise.KEY_VERIFIER, pairwise.KEY_PUBLIC}


@dataclass(frozen=True, slots=True)
class Kept:
    """What one board with pairwise identities gave, and the bundle that it runs."""

    user: User
    bundle: Path
    bank: Path  # evidence files
    bank_again: Path
    clinic: Path
    ordinary: response.Response
    enrolment: response.Response
    device: bytes  # its instance id
    identity_key: bytes


@pytest.fixture(scope="module")
def kept(user: User) -> Iterator[Kept]:
    said = 'version = "1.0.0"'
    source = user.variant("private", said, f"{said}\npairwise = true", EXAMPLES / "hello")
    bundle = user.build(source, "private")
    bank, again = user.home / "bank.cbor", user.home / "bank-again.cbor"
    clinic = user.home / "clinic.cbor"
    with switched_on(read_bundle(bundle), state=user.home / "shy", root=user.home) as board:
        assert user.coffret("provision", "--port", board.port, "--name", "shy").code == 0
        base = ("attest", "--port", board.port, "--bundle", bundle, "--json")
        asked = ((BANK, NONCE, bank), (BANK, "22" * 32, again), (CLINIC, "33" * 32, clinic))
        for verifier, nonce, file in asked:
            words = ("--pairwise", verifier, "--nonce", nonce, "--save", file)
            answer = user.coffret(*base, *words)
            assert answer.code == 0, answer.out + answer.err
        with Board.open(board.port, timeout_s=30) as open_board:
            told = open_board.evidence(bytes(32))
            enrolled = open_board.pairwise(bytes(32), pairwise.verifier_id(BANK), enrol=True)
            identity = open_board.identity()
    enrolment = response.Response(enrolled.token, enrolled.certificate)
    ordinary = response.Response(told.token, told.certificate)
    yield Kept(
        user,
        bundle,
        bank,
        again,
        clinic,
        ordinary,
        enrolment,
        identity.instance_id,
        identity.key,
    )


def read(file: Path) -> response.Response:
    return response.unpack(file.read_bytes())


def claims(file: Path) -> dict[int, object]:
    decoded = cbor.decode(cose.read1(read(file).token).payload)
    assert isinstance(decoded, dict)
    return dict(decoded)


def words(file: Path) -> dict[int, object]:
    """The operator's, as they were signed."""
    decoded = cbor.decode(cose.read1(read(file).endorsement or b"").payload)
    assert isinstance(decoded, dict)
    return dict(decoded)


def verify(kept: Kept, file: Path, verifier: str, nonce: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the reason by claim that is not as expected."""
    answer = kept.user.coffret(
        "verify", file, "--nonce", nonce, "--bundle", kept.bundle, "--pairwise", verifier, "--json"
    )
    found = json.loads(answer.out)["claims"]
    return answer.code, {c["claim"]: c["why"] for c in found if not c["ok"]}


def test_each_verifier_trusts_the_identity_it_is_shown(kept: Kept) -> None:
    assert verify(kept, kept.bank, BANK, NONCE) == (0, {})
    assert verify(kept, kept.clinic, CLINIC, "33" * 32) == (0, {})


def test_what_the_board_makes_is_as_the_published_schemas_say(kept: Kept) -> None:
    for file in (kept.bank, kept.bank_again, kept.clinic):
        answer = read(file)
        schema("pairwise-token").validate_cbor(cose.read1(answer.token).payload)
        word = cose.read1(answer.endorsement or b"").payload
        schema("pairwise-endorsement").validate_cbor(word)
    for answer in (kept.ordinary, kept.enrolment):
        schema("evidence").validate_cbor(cose.read1(answer.token).payload)
    assert psa_token.read(kept.ordinary.token).enrolment is None
    assert psa_token.read(kept.enrolment.token).enrolment is not None


def test_a_verifier_knows_the_device_again_and_another_does_not(kept: Kept) -> None:
    bank, again, clinic = map(claims, (kept.bank, kept.bank_again, kept.clinic))
    assert bank[psa_claims.INSTANCE_ID] == again[psa_claims.INSTANCE_ID]
    assert bank[psa_claims.INSTANCE_ID] != clinic[psa_claims.INSTANCE_ID]
    assert words(kept.bank)[pairwise.KEY_PUBLIC] == words(kept.bank_again)[pairwise.KEY_PUBLIC]


def test_two_verifiers_have_nothing_in_common_but_what_all_devices_say(kept: Kept) -> None:
    bank, clinic = claims(kept.bank), claims(kept.clinic)
    assert set(bank) == set(clinic) == COMMON_CLAIMS | OWN_CLAIMS
    assert {key for key in bank if bank[key] == clinic[key]} == COMMON_CLAIMS
    # Of the common ones, each is a device's with this image: it is in the bundle, or a constant.
    ordinary = psa_token.read(kept.ordinary.token)
    assert board_of(ordinary.implementation_id) == "mps2-an385"
    one, other = words(kept.bank), words(kept.clinic)
    assert {key for key in one if one[key] != other[key]} == OWN_WORDS
    assert one[pairwise.KEY_ISSUED] == other[pairwise.KEY_ISSUED]
    assert int(str(one[pairwise.KEY_ISSUED])) % pairwise.DAY_S == 0
    for file in (kept.bank, kept.clinic):
        assert read(file).certificate == b""
        assert cose.read1(read(file).token).protected == {cose.HEADER_ALG: cose.ES256}
        assert cose.read1(read(file).token).unprotected == {}


def test_nothing_of_the_device_itself_is_in_what_a_verifier_gets(kept: Kept) -> None:
    ordinary = psa_token.read(kept.ordinary.token)
    own = [
        kept.device,
        kept.device[1:],
        kept.identity_key[:32],
        kept.identity_key[32:],
        ordinary.boot_seed,
        ordinary.health.log_digest,
        kept.ordinary.certificate[-64:],
    ]
    for file in (kept.bank, kept.bank_again, kept.clinic):
        assert all(each not in file.read_bytes() for each in own)


def test_the_same_search_finds_the_device_in_its_ordinary_evidence(kept: Kept) -> None:
    """So that the search above can fail."""
    told = psa_token.read(kept.ordinary.token)
    whole = kept.ordinary.token + kept.ordinary.certificate
    assert all(each in whole for each in (kept.device, told.boot_seed, told.health.log_digest))


def test_a_wrong_one_is_refused_with_its_reason(kept: Kept, tmp_path: Path) -> None:
    code, why = verify(kept, kept.bank, CLINIC, NONCE)
    assert (code, why) == (1, {"endorsement": "this identity is for another verifier"})
    code, why = verify(kept, kept.bank, BANK, "44" * 32)
    assert code == 1 and "answers another challenge" in why["nonce"]
    bank, clinic = read(kept.bank), read(kept.clinic)
    mixed = tmp_path / "mixed.cbor"
    response.save(mixed, response.Response(clinic.token, b"", bank.endorsement))
    code, why = verify(kept, mixed, BANK, "33" * 32)
    assert (code, why) == (1, {"endorsement": "the endorsement is for another pairwise identity"})


def test_forged_ones_are_refused_with_their_reason(kept: Kept, tmp_path: Path) -> None:
    bank = read(kept.bank)
    stranger = keys.create("operator", tmp_path / "theirs").private
    payload = cose.read1(bank.token).payload
    forged = tmp_path / "forged.cbor"
    response.save(forged, response.Response(cose.sign1(payload, stranger), b"", bank.endorsement))
    assert set(verify(kept, forged, BANK, NONCE)[1]) == {"signature"}
    headers: dict[int | str, object] = {cose.HEADER_CONTENT_TYPE: pairwise.CONTENT_TYPE}
    word = cose.sign1(cbor.encode(words(kept.bank)), stranger, headers)
    response.save(forged, response.Response(bank.token, b"", word))
    assert "another operator's key" in verify(kept, forged, BANK, NONCE)[1]["endorsement"]
    named = response.Response(bank.token, kept.ordinary.certificate, bank.endorsement)
    response.save(forged, named)
    assert "names the device" in verify(kept, forged, BANK, NONCE)[1]["evidence"]
    response.save(forged, kept.ordinary)
    assert "profile" in verify(kept, forged, BANK, "00" * 32)[1]["evidence"]
    more = cbor.encode(claims(kept.bank) | {psa_claims.BOOT_SEED: bytes(32)})
    response.save(forged, response.Response(cose.sign1(more, stranger), b"", bank.endorsement))
    code, why = verify(kept, forged, BANK, NONCE)
    assert code == 1 and set(why) == {"evidence"}


def test_an_image_without_them_refuses(user: User, hello: Path) -> None:
    with switched_on(read_bundle(hello), state=user.home / "plain", root=user.home) as board:
        answer = user.coffret(
            *("attest", "--port", board.port, "--bundle", hello, "--pairwise", BANK),
            *("--nonce", NONCE, "--save", user.home / "none.cbor"),
        )
    assert answer.code == 1
    assert "without pairwise identities" in answer.err
    assert not (user.home / "none.cbor").exists()


def test_a_board_with_a_secure_world_refuses_to_be_built(kept: Kept) -> None:
    source = kept.user.home / "private-source"
    answer = kept.user.coffret("check", source, "--board", "mps2-an505")
    assert answer.code == 2
    assert "pairwise" in answer.out + answer.err
