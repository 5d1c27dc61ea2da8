# SPDX-License-Identifier: Apache-2.0
"""The service over HTTP, on both databases: sessions, access, uploads, what it tells."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
import sqlalchemy as sa
from openapi_spec_validator import validate

import attest
from attest import corim, keys, response
from attest.psa_claims import PROFILE_URI
from attest.response import Response
from attest.service.access import Right
from attest.service.session import Sealer, Session
from attest.tables import ACCESS_KEYS
from tests.attest.running_service import Home, RunningService
from tests.attest.simulated_device import (
    GOOD,
    OPERATOR,
    OTHER_OPERATOR,
    REFERENCES,
    SIGNER,
    SimulatedDevice,
    digest,
    private_key,
)
from tests.postgresql import Server

NEW = "/challenge-response/v1/newSession"
SUBMIT = "/endorsement-provisioning/v1/submit"
SESSION_TYPE = "application/vnd.veraison.challenge-response-session+json"
EVIDENCE = {"Content-Type": "application/vnd.coffret.evidence+cbor"}
TOKEN = {"Content-Type": f'application/eat-cwt; eat_profile="{PROFILE_URI}"'}
CORIM = {"Content-Type": "application/rim+cbor"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    location = None
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        location = server.database().url()
    home = Home.make(tmp_path_factory.mktemp("service"), location)
    attest.endorse(GOOD.identity_facts, OPERATOR, home.inventory, name="kitchen")
    with RunningService(home) as service:
        service.publish()
        time.sleep(1.1)  # until the worker looks for new reference values
        yield service
    home.inventory.close()


@pytest.fixture
def client(running: RunningService) -> Iterator[httpx.Client]:
    with running.client() as made:
        yield made


def challenge(client: httpx.Client, **query: str) -> tuple[bytes, str]:
    """A nonce, and where its evidence goes."""
    answer = client.post(NEW, params=query)
    assert answer.status_code == 201, answer.text
    return base64.b64decode(answer.json()["nonce"]), answer.headers["location"]


def report(client: httpx.Client, device: SimulatedDevice = GOOD) -> dict[str, object]:
    nonce, location = challenge(client)
    answer = client.post(location, content=response.pack(device.answer(nonce)), headers=EVIDENCE)
    assert answer.status_code == 200, answer.text
    said: dict[str, object] = answer.json()
    return said


def test_a_session_has_the_shape_that_veraisons_clients_read(client: httpx.Client) -> None:
    answer = client.post(NEW, params={"nonceSize": "48"}, headers={"Accept": SESSION_TYPE})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == SESSION_TYPE
    opened = answer.json()
    assert set(opened) == {"nonce", "expiry", "accept", "status"}
    assert len(base64.b64decode(opened["nonce"], validate=True)) == 48
    assert opened["status"] == "waiting"
    location = answer.headers["location"]
    assert client.get(location).json() == opened
    nonce = base64.b64decode(opened["nonce"])
    evidence = response.pack(GOOD.answer(nonce))
    done = client.post(location, content=evidence, headers=EVIDENCE)
    assert done.status_code == 200
    assert done.headers["content-type"] == SESSION_TYPE
    assert done.json()["status"] == "complete"
    read = client.get(location).json()
    assert read["status"] == "complete"
    assert base64.b64decode(read["evidence"]["value"]) == evidence
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404


def test_a_good_device_is_trusted_and_a_bad_one_explained(client: httpx.Client) -> None:
    assert report(client)["coffret"]["verdict"] == "trusted"  # type: ignore[index]
    leaky = replace(GOOD, policy=digest("leaky"))
    said = report(client, leaky)["coffret"]
    assert said["verdict"] == "untrusted"  # type: ignore[index]
    device = GOOD.identity_facts.instance_id.hex()
    shown = client.get(f"/v1/devices/{device}").json()
    assert (shown["name"], shown["verdict"]) == ("kitchen", "untrusted")
    assert "other data may leave" in shown["why"]
    bad, good, *_ = client.get("/v1/devices/kitchen/results").json()
    assert (bad["verdict"], good["verdict"]) == ("untrusted", "trusted")
    assert "policy" in {claim["claim"] for claim in bad["claims"] if not claim["ok"]}
    assert client.get(f"/v1/results/{bad['id']}").json() == bad


def test_a_session_is_answered_once_however_many_try_at_once(running: RunningService) -> None:
    with running.client() as client:
        nonce, location = challenge(client)
    evidence = response.pack(GOOD.answer(nonce))

    def post(_: int) -> int:
        with running.client() as mine:
            return mine.post(location, content=evidence, headers=EVIDENCE).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(post, range(16)))
    assert sorted(codes) == [200] + [409] * 15


def test_a_nonce_of_ones_own_is_never_accepted_twice(client: httpx.Client) -> None:
    mine = base64.urlsafe_b64encode(digest(f"mine {time.time_ns()}")).rstrip(b"=").decode()
    codes = []
    for _ in range(2):
        nonce, location = challenge(client, nonce=mine)
        evidence = response.pack(GOOD.answer(nonce))
        codes.append(client.post(location, content=evidence, headers=EVIDENCE).status_code)
    assert codes == [200, 409]


def test_a_deleted_session_cannot_be_answered(client: httpx.Client) -> None:
    nonce, location = challenge(client)
    assert client.delete(location).status_code == 204
    evidence = response.pack(GOOD.answer(nonce))
    assert client.post(location, content=evidence, headers=EVIDENCE).status_code == 409


def test_evidence_for_another_challenge_is_untrusted(client: httpx.Client) -> None:
    old, _ = challenge(client)
    _, location = challenge(client)
    answer = client.post(location, content=response.pack(GOOD.answer(old)), headers=EVIDENCE)
    assert answer.json()["coffret"]["verdict"] == "untrusted"
    assert "another challenge" in answer.json()["coffret"]["why"]


def test_an_expired_session_is_refused(running: RunningService, client: httpx.Client) -> None:
    verifier = keys.load("verifier", running.home.folder / "keys").private
    session = Session(digest("old"), int(time.time()) - 301, 300, "everything")
    path = f"/challenge-response/v1/session/{Sealer(verifier).seal(session)}"
    evidence = response.pack(GOOD.answer(session.nonce))
    assert client.post(path, content=evidence, headers=EVIDENCE).status_code == 410
    assert client.get(path).status_code == 410


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"nonceSize": "8"}, "32, 48 or 64"),
        ({"nonceSize": "many"}, "32, 48 or 64"),
        ({"nonce": "AAAA"}, "32, 48 or 64"),
        ({"nonce": "not base64!"}, "base64url"),
        ({"nonce": "A" * 43, "nonceSize": "32"}, "not both"),
    ],
)
def test_a_session_that_cannot_be_is_refused_in_words(
    client: httpx.Client, query: dict[str, str], words: str
) -> None:
    answer = client.post(NEW, params=query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_what_is_no_evidence_is_a_definite_no(client: httpx.Client) -> None:
    _, location = challenge(client)
    assert client.post(location, content=b"x", headers=EVIDENCE).status_code == 400
    assert client.post(location, content=b"x").status_code == 415
    assert client.post(location, content=bytes(1 << 20), headers=EVIDENCE).status_code == 413
    broken = response.pack(Response(b"\x00", b"\x00"))
    answer = client.post(location, content=broken, headers=EVIDENCE)
    assert answer.json()["coffret"]["verdict"] == "untrusted"
    assert client.put(location).status_code == 405
    assert client.get("/challenge-response/v1/session/nonsense").status_code == 404
    assert client.get("/challenge-response/v1/other").status_code == 404


def test_a_bare_token_goes_with_the_certificate_shown_last(client: httpx.Client) -> None:
    report(client)
    nonce, location = challenge(client)
    answer = client.post(location, content=GOOD.answer(nonce).token, headers=TOKEN)
    assert answer.json()["coffret"]["verdict"] == "trusted"
    stranger = replace(GOOD, secret=digest("never seen"))
    nonce, location = challenge(client)
    answer = client.post(location, content=stranger.answer(nonce).token, headers=TOKEN)
    assert answer.status_code == 422
    assert "send application/vnd.coffret.evidence+cbor once" in answer.json()["detail"]


def test_a_device_that_was_never_endorsed_is_unknown(client: httpx.Client) -> None:
    stranger = replace(GOOD, secret=digest("stranger"))
    assert report(client, stranger)["coffret"]["verdict"] == "unknown"  # type: ignore[index]
    device = stranger.identity_facts.instance_id.hex()
    assert client.get(f"/v1/devices/{device}").json()["name"] is None


# Access


def test_every_right_opens_its_own_doors_only(running: RunningService) -> None:
    doors = {
        Right.ATTEST: ("POST", NEW),
        Right.CHOOSE: ("POST", f"{NEW}?nonce={'A' * 43}"),
        Right.PROVISION: ("POST", SUBMIT),
        Right.READ: ("GET", "/v1/fleet"),
    }
    made = {right: running.home.access(f"only-{right}", right) for right in Right}
    time.sleep(1.1)
    for right, key in made.items():
        with running.client(key) as client:
            for door, (method, path) in doors.items():
                code = client.request(method, path).status_code
                assert (code == 403) == (door is not right), (right, door, code)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer coffret_x", "Basic eDp5", "Bearer \xff"])
def test_without_a_key_nothing_is_said(running: RunningService, header: str) -> None:
    with httpx.Client(base_url=running.url) as client:
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        for method, path in (("POST", NEW), ("POST", SUBMIT), ("GET", "/v1/devices")):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_ends_within_a_second(running: RunningService) -> None:
    from attest.service.access import revoke  # noqa: PLC0415

    key = running.home.access("lost", Right.READ)
    time.sleep(1.1)
    with running.client(key) as client:
        assert client.get("/v1/fleet").status_code == 200
        revoke(running.home.inventory.engine, "lost")
        time.sleep(1.1)
        assert client.get("/v1/fleet").status_code == 401


def test_the_store_has_no_key_only_hashes(running: RunningService) -> None:
    with running.home.inventory.engine.connect() as connection:
        rows = connection.execute(sa.select(ACCESS_KEYS)).all()
    secret = running.home.everything
    assert secret.startswith("coffret_")
    assert len(rows) >= 1
    assert all(secret[8:] not in repr(row) for row in rows)


def test_a_session_belongs_to_the_key_that_opened_it(running: RunningService) -> None:
    other = running.home.access("other", Right.ATTEST)
    time.sleep(1.1)
    with running.client() as mine, running.client(other) as theirs:
        nonce, location = challenge(mine)
        evidence = response.pack(GOOD.answer(nonce))
        assert theirs.get(location).status_code == 404
        assert theirs.post(location, content=evidence, headers=EVIDENCE).status_code == 404
        assert mine.post(location, content=evidence, headers=EVIDENCE).status_code == 200


def test_no_log_line_has_a_key_or_a_session(running: RunningService) -> None:
    with running.client() as client:
        _, location = challenge(client)
        client.post(location, content=b"x", headers=EVIDENCE)
        running.wait_for("refused")
    text = json.dumps(running.lines)
    assert all(line["event"] != "not JSON" for line in running.lines), text[-2000:]
    assert running.home.everything not in text
    assert location.rpartition("/")[2] not in text


# Uploads


def test_reference_values_of_another_signer_are_refused(client: httpx.Client) -> None:
    values = corim.reference_values(replace(REFERENCES, version="9.9.9"))
    theirs = corim.sign(values, private_key(99), "somebody")
    ours = corim.sign(values, SIGNER, "us")
    for content in (theirs, values, b"", ours[:-1], ours + b"\0"):
        answer = client.post(SUBMIT, content=content, headers=CORIM)
        assert answer.status_code == 200
        assert answer.json()["status"] == "failed"
        assert answer.json()["failure-reason"]
    versions = {each["version"] for each in client.get("/v1/references").json()}
    assert "9.9.9" not in versions


def test_who_uploaded_and_withdrew_is_in_the_log(running: RunningService) -> None:
    running.publish()
    with running.client() as client:
        client.post(SUBMIT, content=b"", headers=CORIM)
    for taken in (True, False):
        running.wait_for("upload", by="everything", taken=taken)


def test_withdrawn_reference_values_trust_nobody(client: httpx.Client) -> None:
    (known,) = (e for e in client.get("/v1/references").json() if e["version"] == "1.2.3")
    ids = {"corim-ids": [known["id"]]}
    prefix = "/endorsement-provisioning/v1"
    assert client.post(f"{prefix}/deactivate", json=ids).status_code == 204
    time.sleep(1.1)
    assert report(client)["coffret"]["verdict"] == "unknown"  # type: ignore[index]
    assert client.post(f"{prefix}/activate", json=ids).status_code == 204
    time.sleep(1.1)
    assert report(client)["coffret"]["verdict"] == "trusted"  # type: ignore[index]
    assert client.post(f"{prefix}/activate", json={"corim-ids": ["?"]}).status_code == 404
    assert client.post(f"{prefix}/activate", content=b"{").status_code == 400


def test_an_endorsement_by_the_operator_adds_a_device(client: httpx.Client) -> None:
    made = replace(GOOD, secret=digest("cellar"))
    headers = {"Content-Type": "application/vnd.coffret.endorsement+cbor"}
    forged = made.endorsed_by(OTHER_OPERATOR)
    answer = client.post(SUBMIT, params={"name": "cellar"}, content=forged, headers=headers)
    assert answer.json()["status"] == "failed"
    true = made.endorsed_by(OPERATOR)
    answer = client.post(SUBMIT, params={"name": "cellar"}, content=true, headers=headers)
    assert answer.json()["status"] == "success", answer.text
    assert client.get("/v1/devices/cellar").json()["why"] == "never reported"
    assert report(client, made)["coffret"]["verdict"] == "trusted"  # type: ignore[index]
    other = replace(GOOD, secret=digest("attic")).endorsed_by(OPERATOR)
    answer = client.post(SUBMIT, params={"name": "cellar"}, content=other, headers=headers)
    assert "another device is called" in answer.json()["failure-reason"]


# What it tells


def test_lists_are_grouped_searched_and_paged(client: httpx.Client) -> None:
    report(client)
    counts = client.get("/v1/fleet").json()
    groups = ("trusted", "untrusted", "unknown", "silent")
    assert counts["total"] == sum(counts[name] for name in groups)
    trusted = client.get("/v1/devices", params={"group": "trusted"}).json()
    assert "kitchen" in [each["name"] for each in trusted]
    assert len(trusted) == counts["trusted"]
    found = client.get("/v1/devices", params={"search": "kit"}).json()
    assert [each["name"] for each in found] == ["kitchen"]
    by_id = client.get("/v1/devices", params={"search": found[0]["device"][:9]}).json()
    assert by_id == found
    assert client.get("/v1/devices", params={"search": "100%"}).json() == []
    first = client.get("/v1/devices", params={"limit": "1"}).json()
    second = client.get("/v1/devices", params={"limit": "1", "start": "1"}).json()
    assert first != second
    assert client.get("/v1/devices", params={"limit": "0"}).status_code == 400
    assert client.get("/v1/devices/nobody").status_code == 404


def test_it_describes_itself(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    validate(described)
    for path in (NEW, "/challenge-response/v1/session/{session_id}", SUBMIT, "/v1/devices"):
        assert path in described["paths"]
    text = json.dumps(described)
    assert "nonceSize" in text
    verification = client.get("/.well-known/veraison/verification").json()
    assert verification["ear-verification-key"]["crv"] == "P-256"
    assert verification["api-endpoints"] == {"newChallengeResponseSession": NEW}
    assert client.get("/.well-known/veraison/provisioning").status_code == 200
    assert client.get("/healthz").json() == {"status": "ok"}


def test_prometheus_reads_its_figures(client: httpx.Client) -> None:
    report(client)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = dict(
        line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")
    )
    assert float(lines['coffret_verdicts_total{verdict="trusted"}']) >= 1
    assert float(lines["coffret_appraisal_seconds_count"]) >= 1
    assert float(lines["coffret_waiting"]) == 0
