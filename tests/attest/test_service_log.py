# SPDX-License-Identifier: Apache-2.0
"""The service's transparency log: every verdict and release in it, provable over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rich_click as click
import sqlalchemy as sa
from click.testing import CliRunner, Result

import attest
from attest import corim, keys, log, response
from attest.log import Inclusion
from attest.log_cli import log_group
from attest.log_store import Entry, Log
from attest.service.access import Right
from attest.tables import LOG_ENTRIES, LOG_NODES
from boards.errors import CoffretError
from enclaves import cbor
from tests.attest.running_service import Home, RunningService
from tests.attest.simulated_device import GOOD, OPERATOR, REFERENCES, SIGNER
from tests.attest.test_transparency_log import drop_triggers
from tests.postgresql import Server

Run = Callable[..., Result]


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
    home.files["reader"] = home.folder / "reader.key"
    home.files["reader"].write_text(home.access("reader", Right.READ))
    home.files["reader"].chmod(0o600)
    with RunningService(home) as service:
        service.publish()
        home.files["log"] = home.folder / "log.pub.pem"
        public = keys.load("log", home.folder / "keys").public
        home.files["log"].write_text(keys.public_pem(public))
        yield service
    home.inventory.close()


def attested(running: RunningService) -> tuple[int, str]:
    """One session: the verdict's id and its EAR."""
    with running.client() as client:
        opened = client.post("/challenge-response/v1/newSession")
        nonce = base64.b64decode(opened.json()["nonce"])
        kind = {"Content-Type": "application/vnd.coffret.evidence+cbor"}
        evidence = response.pack(GOOD.answer(nonce))
        done = client.post(opened.headers["location"], content=evidence, headers=kind).json()
    return done["coffret"]["id"], done["result"]


@pytest.fixture
def run(running: RunningService, tmp_path: Path) -> Run:
    """`coffret log` of somebody who has neither the service's keys nor its database."""

    @click.group()
    def door() -> None:
        """A front door."""

    door.add_command(log_group)
    files = running.home.files
    theirs = ("--log-key", files["log"], "--keys", tmp_path / "none", "--json")
    asked = {"head": (), "prove": ("--access-key", files["reader"]), "verify": None}

    def invoke(verb: str, *words: object) -> Result:
        more = asked[verb]
        service = () if more is None else ("--service", running.url, *more)
        return CliRunner().invoke(door, ["log", verb, *map(str, (*words, *service, *theirs))])

    return invoke


def test_a_verdict_and_its_ear_are_proved_to_a_third_party(
    running: RunningService, run: Run, tmp_path: Path
) -> None:
    id_, ear = attested(running)
    result, other = tmp_path / "verdict.jwt", tmp_path / "other.jwt"
    result.write_text(ear)
    other.write_text(attested(running)[1])
    proof = tmp_path / "verdict.proof"
    done = run("prove", "--result", id_, "--out", proof)
    assert done.exit_code == 0, done.output
    verified = run("verify", proof, "--result", result)
    assert verified.exit_code == 0, verified.output
    content = json.loads(verified.stdout)["content"]
    assert (content["kind"], content["verdict"]) == ("verdict", "trusted")
    refused = run("verify", proof, "--result", other)
    assert isinstance(refused.exception, CoffretError)
    assert refused.exception.exit_code == 1


def test_a_published_release_is_in_the_log_once(
    running: RunningService, run: Run, tmp_path: Path
) -> None:
    running.publish()  # again
    with running.home.inventory.engine.connect() as connection:
        contents = connection.execute(sa.select(LOG_ENTRIES.c.content)).scalars().all()
    kinds = [cbor.decode(content)["kind"] for content in contents]  # type: ignore[index]
    assert kinds.count("release") == 1
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    signed = corim.sign(corim.reference_values(REFERENCES), SIGNER, "tests")
    (bundle / "corim.cbor").write_bytes(signed)
    proof = tmp_path / "release.proof"
    assert run("prove", "--bundle", bundle, "--out", proof).exit_code == 0
    assert run("verify", proof, "--bundle", bundle).exit_code == 0


def test_whoever_kept_a_head_sees_that_the_log_only_grew(
    running: RunningService, run: Run, tmp_path: Path
) -> None:
    older, proof = tmp_path / "older.head", tmp_path / "grew.proof"
    done = run("head", "--out", older)
    assert done.exit_code == 0, done.exception
    attested(running)
    assert run("prove", "--since", older, "--out", proof).exit_code == 0
    assert run("verify", proof, "--head", older).exit_code == 0


def test_heads_are_for_everybody_and_entries_for_those_who_may_read(
    running: RunningService,
) -> None:
    with running.client("nobody") as client:
        head = client.get("/v1/log/head")
        assert (head.status_code, head.headers["content-type"]) == (200, log.HEAD_TYPE)
        grown = client.post("/v1/log/consistency", content=head.content)
        assert grown.status_code == 200
        for wanted in ("entry/0", "result/1", f"release/{bytes(32).hex()}"):
            assert client.get(f"/v1/log/proof/{wanted}").status_code == 401
    with running.client() as client:
        for wanted in ("entry/999999", "entry/-1", f"entry/{1 << 70}", "result/1", "release/00"):
            assert client.get(f"/v1/log/proof/{wanted}").status_code == 404, wanted
        assert client.get("/v1/log/proof/release/xyz").status_code == 400
        for junk in (b"", b"\xff" * 99, head.content[:-1], bytes(2000)):
            answer = client.post("/v1/log/consistency", content=junk)
            assert answer.status_code in (413, 422)


def test_every_verdict_has_its_entry_and_every_entry_its_proof(running: RunningService) -> None:
    attested(running)
    public = keys.load("log", running.home.folder / "keys").public
    with running.client() as client:
        size = log.read_head(client.get("/v1/log/head").content, public).size
        for number in range(size):
            proof = log.read_proof(client.get(f"/v1/log/proof/entry/{number}").content)
            assert isinstance(proof, Inclusion)
            assert proof.number == number
            log.check(proof, public)


def test_a_history_rewritten_in_the_database_is_noticed(
    running: RunningService, run: Run, tmp_path: Path
) -> None:
    """The operator of the service turns a verdict round, with the database and all keys at hand."""
    attested(running)
    seen = tmp_path / "seen.head"
    assert run("head", "--out", seen).exit_code == 0
    with running.home.inventory.engine.begin() as connection:
        drop_triggers(connection)
        contents = connection.execute(
            sa.select(LOG_ENTRIES.c.content).order_by(LOG_ENTRIES.c.number)
        ).scalars()
        forged = [_untrusted(content) for content in contents]
        for table in (LOG_NODES, LOG_ENTRIES):
            connection.execute(sa.delete(table))
        Log(connection).append([Entry.of(content) for content in forged])
    noticed = run("prove", "--since", seen, "--out", tmp_path / "forged.proof")
    assert isinstance(noticed.exception, CoffretError)
    assert "rewritten" in noticed.exception.message
    assert noticed.exception.exit_code == 1
    assert not (tmp_path / "forged.proof").exists()


def _untrusted(content: bytes) -> bytes:
    entry = cbor.decode(content)
    assert isinstance(entry, dict)
    return cbor.encode({**entry, "verdict": "untrusted"})
