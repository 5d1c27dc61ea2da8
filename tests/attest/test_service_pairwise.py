# SPDX-License-Identifier: Apache-2.0
"""Services of two relying parties see one device, and neither they nor both together can tell."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import cbor2
import jwt
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

import attest
from attest import corim, keys, p256, psa_claims, response
from attest.response import Response
from attest.service import logs
from attest.service.access import Right, new_key
from attest.service.app import make_app
from attest.service.settings import Settings
from attest.tables import METADATA
from enclaves import cbor
from tests.attest.simulated_device import (
    GOOD,
    OPERATOR,
    REFERENCES,
    SIGNER,
    SimulatedDevice,
    digest,
)

NOW = 1_760_012_345.0  # a clock that stands still: time is what the services may have in common
NEW = "/challenge-response/v1/newSession"
SUBMIT = "/endorsement-provisioning/v1/submit"
BANK, CLINIC, SHOP = "https://bank.example", "clinic", "shop"
NEIGHBOUR = replace(GOOD, secret=digest("the neighbour's device"))


@dataclass(slots=True)
class Service:
    """A real service without its socket, and all that it was sent, said, logged and keeps."""

    client: TestClient
    engine: sa.Engine
    verifier: p256.PublicKey
    seen: list[object] = field(default_factory=list)

    def post(self, path: str, body: bytes, kind: str) -> dict[str, object]:
        said = self.client.post(path, content=body, headers={"Content-Type": kind})
        document: dict[str, object] = said.json()
        self.seen += [body, document, dict(said.request.headers)]
        return document | {"status_code": said.status_code}

    def challenge(self) -> tuple[bytes, str]:
        opened = self.client.post(NEW)
        assert opened.status_code == 201, opened.text
        self.seen += [opened.json(), opened.headers["location"]]
        return base64.b64decode(opened.json()["nonce"]), opened.headers["location"]

    def report(self, answer: Response, location: str) -> dict[str, object]:
        kind = "application/vnd.coffret.evidence+cbor"
        return self.post(location, response.pack(answer), kind)

    def kept(self) -> list[object]:
        """Each cell of each table."""
        with self.engine.connect() as connection:
            return [
                cell
                for table in METADATA.sorted_tables
                for row in connection.execute(sa.select(table))
                for cell in row
            ]


def opened_service(folder: Path, stack: ExitStack, pairwise: str | None) -> Service:
    folder.mkdir(mode=0o700)
    files = {}
    for name, key in (("operator", OPERATOR), ("signing", SIGNER)):
        files[name] = folder / f"{name}.pub.pem"
        files[name].write_text(keys.public_pem(key.public_key()))
    settings = Settings(
        inventory=str(folder / "inventory.sqlite"),
        keys=folder / "keys",
        operator_key=files["operator"],
        signing_key=files["signing"],
        pairwise=pairwise,
    )
    inventory = attest.open_inventory(settings.inventory)
    stack.callback(inventory.close)
    secret = new_key(inventory.engine, "gateway", frozenset(Right))
    client = stack.enter_context(TestClient(make_app(settings)))
    client.headers["Authorization"] = f"Bearer {secret}"
    service = Service(
        client, inventory.engine, keys.load("verifier", settings.keys).private.public_key()
    )
    signed = corim.sign(corim.reference_values(REFERENCES), SIGNER, "tests")
    assert service.post(SUBMIT, signed, "application/rim+cbor")["status"] == "success"
    return service


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.time", lambda: NOW)
    return tmp_path


@pytest.fixture
def bank(folder: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        yield opened_service(folder / "bank", stack, BANK)


def report_pairwise(
    service: Service, verifier: str, device: SimulatedDevice = GOOD
) -> dict[str, object]:
    nonce, location = service.challenge()
    said = service.report(device.pairwise_answer(verifier, nonce), location)
    assert said["coffret"]["verdict"] == "trusted", said  # type: ignore[index]
    return said


def values(thing: object) -> Iterator[object]:
    """Every value within `thing`, each text and byte string read as whatever it may encode."""
    if isinstance(thing, dict):
        for key, inner in thing.items():
            if key != "milliseconds":  # how long the service itself took
                yield from values(inner)
    elif isinstance(thing, list | tuple):
        for inner in thing:
            yield from values(inner)
    elif isinstance(thing, cbor2.CBORTag):
        yield from values(thing.value)
    elif isinstance(thing, str):
        yield thing
        yield from _within_text(thing)
    elif isinstance(thing, bytes):
        yield thing
        try:
            inner = cbor.decode(thing.removeprefix(b"\xd2"))
        except cbor.CborError:
            return
        if inner != thing:
            yield from values(inner)
    elif thing is not None:
        yield thing


def _within_text(text: str) -> Iterator[object]:
    for piece in text.split("."):  # a JWT's parts
        try:
            data = base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            continue
        yield data
        yield from _json(data)
    yield from _json(text)
    for word in text.replace(":", " ").split():
        try:
            yield bytes.fromhex(word)
        except ValueError:
            continue


def _json(text: str | bytes) -> Iterator[object]:
    try:
        inner = json.loads(text)
    except ValueError:
        return
    if isinstance(inner, dict | list):
        yield from values(inner)


def everything(service: Service, logged: list[object]) -> set[object]:
    return set(values([service.seen, service.kept(), logged]))


class Lines(logging.Handler):
    """The log's lines as values."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append([record.getMessage(), *getattr(record, logs.FIELDS, ())])


def gathered(
    folder: Path, name: str, verifier: str | None, device: SimulatedDevice, *, times: int = 2
) -> set[object]:
    """All that a service comes to know when `device` reports to it so often."""
    handler = Lines()
    logs.LOGGER.addHandler(handler)
    logs.LOGGER.setLevel(logging.INFO)
    try:
        with ExitStack() as stack:
            service = opened_service(folder / name, stack, verifier)
            for _ in range(times):
                if verifier is not None:
                    report_pairwise(service, verifier, device)
                    continue
                nonce, location = service.challenge()
                service.report(device.answer(nonce), location)
            for path in ("/v1/devices?group=all", "/v1/devices?group=trusted", "/v1/fleet"):
                service.seen.append(service.client.get(path).json())
            return everything(service, handler.lines)
    finally:
        logs.LOGGER.removeHandler(handler)


def test_two_services_have_nothing_in_common_of_one_device(folder: Path) -> None:
    """What both know of it, a third one knows too, which saw only the neighbour's."""
    bank = gathered(folder, "bank", BANK, GOOD)
    clinic = gathered(folder, "clinic", CLINIC, GOOD)
    shop = gathered(folder, "shop", SHOP, NEIGHBOUR)
    assert (bank & clinic) - shop == set()
    assert REFERENCES.image_a in bank & clinic & shop  # the search looks into the evidence


def test_nothing_of_the_device_itself_reaches_a_service(folder: Path) -> None:
    told = GOOD.evidence()
    facts = GOOD.identity_facts
    own = [facts.instance_id, facts.identity_key, told.boot_seed, told.health.log_digest]
    own += [GOOD.certificate, p256.xy(GOOD.alias.public_key())]
    bank = gathered(folder, "bank", BANK, GOOD)
    texts = [str(value).encode() if not isinstance(value, bytes) else value for value in bank]
    for each in own:
        assert not any(each in text or each.hex().encode() in text for text in texts)


def test_the_same_search_finds_what_ordinary_evidence_has_in_common(folder: Path) -> None:
    """So that the searches above can fail."""
    common = gathered(folder, "one", None, GOOD) & gathered(folder, "other", None, GOOD)
    common -= gathered(folder, "shop", None, NEIGHBOUR)
    facts, told = GOOD.identity_facts, GOOD.evidence()
    assert {facts.instance_id, GOOD.certificate, facts.instance_id.hex()} <= common
    assert told.health.log_digest not in common  # the neighbour's simulated log is the same


def test_a_service_knows_its_own_devices_again_and_signs_their_results(bank: Service) -> None:
    first, second = report_pairwise(bank, BANK), report_pairwise(bank, BANK)
    other = report_pairwise(bank, BANK, NEIGHBOUR)
    devices = [said["coffret"]["device"] for said in (first, second, other)]  # type: ignore[index]
    assert devices[0] == devices[1] != devices[2]
    listed = bank.client.get("/v1/devices?group=trusted").json()
    assert sorted(each["device"] for each in listed) == sorted(set(devices))
    assert {each["name"] for each in listed} == {None}
    result = jwt.decode(str(first["result"]), bank.verifier, ["ES256"])  # type: ignore[arg-type]
    assert result["submods"]["PSA_IOT"]["ear.status"] == "affirming"
    annotated = result["submods"]["PSA_IOT"]["ear.veraison.annotated-evidence"]
    assert base64.b64decode(annotated["psa-instance-id"]).hex() == devices[0]
    assert "psa-boot-seed" not in annotated


def test_a_bare_token_goes_with_the_word_that_came_last(bank: Service) -> None:
    report_pairwise(bank, BANK)
    nonce, location = bank.challenge()
    token = GOOD.pairwise_answer(BANK, nonce).token
    assert bank.post(location, token, "application/eat-cwt")["status"] == "complete"
    assert bank.client.get("/v1/fleet").json()["trusted"] == 1
    nonce, location = bank.challenge()
    stranger = NEIGHBOUR.pairwise_answer(BANK, nonce).token
    said = bank.post(location, stranger, "application/eat-cwt")
    assert said["coffret"]["verdict"] == "unknown"  # type: ignore[index]


def test_what_names_a_device_is_refused_and_not_kept(bank: Service) -> None:
    nonce, location = bank.challenge()
    good = GOOD.pairwise_answer(BANK, nonce)
    ordinary = GOOD.answer(nonce)
    refused = [
        ordinary,
        Response(ordinary.token, b""),
        Response(good.token, GOOD.certificate, good.endorsement),
        Response(good.token, b"", GOOD.endorsed_by()),
        Response(good.token, b"", GOOD.identity_facts.instance_id),
    ]
    for answer in refused:
        said = bank.report(answer, location)
        assert said["status_code"] == 422, said
        assert "not a pairwise identity" in str(said["detail"])
    uploaded = bank.post(SUBMIT, GOOD.endorsed_by(), "application/vnd.coffret.endorsement+cbor")
    assert uploaded["status"] == "failed"
    assert bank.client.get("/v1/devices?group=all").json() == []
    own = GOOD.identity_facts
    kept = set(values(bank.kept()))
    assert {own.instance_id, own.identity_key, GOOD.certificate} & kept == set()
    # The challenge was not used up.
    assert bank.report(good, location)["coffret"]["verdict"] == "trusted"  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda nonce: GOOD.pairwise_answer(CLINIC, nonce), "for another verifier"),
        (lambda _: GOOD.pairwise_answer(BANK, digest("old")), "answers another challenge"),
        (
            lambda nonce: Response(
                GOOD.pairwise_answer(BANK, nonce).token, b"", NEIGHBOUR.pairwise_word(BANK)
            ),
            "another pairwise identity",
        ),
        (
            lambda nonce: replace(GOOD, policy=digest("leaky")).pairwise_answer(BANK, nonce),
            "other data may leave",
        ),
    ],
    ids=["another's", "old", "mixed", "leaky"],
)
def test_what_is_not_meant_for_it_or_not_right_is_untrusted(
    bank: Service, answer: object, why: str
) -> None:
    nonce, location = bank.challenge()
    said = bank.report(answer(nonce), location)  # type: ignore[operator]
    assert said["coffret"]["verdict"] == "untrusted"  # type: ignore[index]
    assert why in said["coffret"]["why"]  # type: ignore[index]


def test_the_page_tells_the_story_of_a_pairwise_identity(bank: Service) -> None:
    said = report_pairwise(bank, BANK)
    page = bank.client.get(f"/devices/{said['coffret']['device']}").text  # type: ignore[index]
    assert "pairwise identity" in page and "never endorsed" not in page
    assert "Held against" in page and REFERENCES.image_a.hex()[:16] in page
    assert "Attestation key" not in page
    assert "pairwise identity" in bank.client.get("/?group=trusted").text


def test_it_says_what_it_takes(bank: Service) -> None:
    told = bank.client.get("/.well-known/veraison/verification").json()
    assert told["coffret-pairwise"] == BANK
    assert told["media-types"] == bank.client.post(NEW).json()["accept"]
    assert psa_claims.PROFILE_URI not in str(told["media-types"])
    for size in ("48", "64"):
        assert bank.client.post(NEW, params={"nonceSize": size}).status_code == 400
