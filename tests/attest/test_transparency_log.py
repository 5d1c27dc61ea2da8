# SPDX-License-Identifier: Apache-2.0
"""The log only grows, everybody can check it, and a log that shows two faces is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import rich_click as click
import sqlalchemy as sa
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_device import GOOD, OPERATOR, REFERENCES, SIGNER, private_key

import attest
from attest import corim, keys, log, merkle
from attest.errors import LogError
from attest.log import Consistency, Inclusion
from attest.log_cli import log_group
from attest.log_source import opened
from attest.log_store import Entry, Log
from attest.response import pack
from attest.tables import LOG_ENTRIES, LOG_NODES, METADATA
from boards.errors import CoffretError
from enclaves import cbor, cose

KEY = private_key(0x106)
PUBLIC = KEY.public_key()

# RFC 6962's (and so RFC 9162's) hashes over these eight entries, as Certificate Transparency's
# own tests have them: roots of the trees of 1 to 8 entries.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES[:size]]
    assert merkle.root_of(hashes).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root_of([]) == hashlib.sha256().digest()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 8, 13, 32, 33])
def test_every_entry_of_every_size_is_proved_and_nothing_else(size: int) -> None:
    hashes = leaves(size)
    root = merkle.root_of(hashes)
    roots = merkle.range_of(lambda n: hashes[n])
    for number in range(size):
        path = merkle.inclusion_proof(number, size, roots)
        assert merkle.includes(hashes[number], number, size, path, root)
        other = merkle.leaf_hash(b"another")
        assert not merkle.includes(other, number, size, path, root)
        assert not merkle.includes(hashes[number], number, size, [*path, other], root)
        assert not merkle.includes(hashes[number], size, size, path, root)
        assert not merkle.includes(hashes[number], -1, size, path, root)
        for wrong in set(range(size)) - {number}:
            assert not merkle.includes(hashes[number], wrong, size, path, root)
        if path:
            assert not merkle.includes(hashes[number], number, size, path[:-1], root)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 8, 13, 32, 33])
def test_every_older_tree_is_proved_to_be_the_start_of_the_newer(size: int) -> None:
    hashes = leaves(size)
    root = merkle.root_of(hashes)
    roots = merkle.range_of(lambda n: hashes[n])
    for older in range(1, size + 1):
        before = merkle.root_of(hashes[:older])
        path = merkle.consistency_proof(older, size, roots)
        assert merkle.consistent(older, before, size, root, path)
        forged = merkle.root_of([merkle.leaf_hash(b"x"), *hashes[1:older]])
        assert not merkle.consistent(older, forged, size, root, path)
        assert not merkle.consistent(older, before, size, forged, path)
        if older < size:
            assert not merkle.consistent(older, before, size, root, [])
            assert not merkle.consistent(older, before, size, root, [*path, root])
        assert not merkle.consistent(size + 1, before, size, root, path)


@given(st.data())
def test_no_changed_proof_convinces(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    number = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    path = merkle.inclusion_proof(number, size, merkle.range_of(lambda n: hashes[n]))
    at = data.draw(st.integers(0, len(path) - 1))
    bit = data.draw(st.integers(0, 255))
    value = int.from_bytes(path[at], "big") ^ 1 << bit
    path[at] = value.to_bytes(32, "big")
    assert not merkle.includes(hashes[number], number, size, path, merkle.root_of(hashes))


@given(st.integers(1, 40), st.integers(0, 50), st.lists(st.binary(min_size=32, max_size=32)))
def test_random_proofs_neither_convince_nor_raise(
    size: int, number: int, path: list[bytes]
) -> None:
    leaf = merkle.leaf_hash(b"not in it")
    root = merkle.root_of(leaves(size))
    assert not merkle.includes(leaf, number, size, path, root)
    assert not merkle.consistent(number or 1, leaf, size, root, path)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql").url()
        return url
    return str(tmp_path / "log.sqlite")


def entry_of(number: int) -> Entry:
    return Entry.of(f"entry {number}".encode())


def filled(location: str, *counts: int) -> None:
    """One transaction for each of `counts`, of so many entries."""
    for count in counts:
        with opened(location) as mine:
            first = mine.size  # another one may come in between: then these are just later
            mine.append([entry_of(first + place) for place in range(count)])


def test_stored_proofs_are_those_of_the_definition(location: str) -> None:
    filled(location, 1, 2, 0, 5, 1, 12)
    hashes = [merkle.leaf_hash(f"entry {n}".encode()) for n in range(21)]
    with opened(location) as mine:
        head = mine.head(KEY, 1)
        assert log.read_head(head, PUBLIC) == log.Head(21, merkle.root_of(hashes), 1)
        for number in range(21):
            proof = mine.prove(number, head, PUBLIC)
            assert log.check(log.read_proof(log.write_proof(proof)), PUBLIC).size == 21
            assert mine.find(hashes[number]) == number
        assert mine.find(bytes(32)) is None


@given(st.lists(st.integers(0, 9), max_size=12))
@settings(max_examples=30)
def test_however_it_was_filled_the_root_is_that_of_the_definition(counts: list[int]) -> None:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine, tables=[LOG_ENTRIES, LOG_NODES])
    contents = [str(number).encode() for number in range(sum(counts))]
    with engine.begin() as connection:
        mine, rest = Log(connection), contents
        for count in counts:
            mine.append([Entry.of(content) for content in rest[:count]])
            rest = rest[count:]
        root = log.read_head(mine.head(KEY), PUBLIC).root
    assert root == merkle.root_of([merkle.leaf_hash(content) for content in contents])


def test_the_log_grows_and_old_heads_stay_true(location: str) -> None:
    heads = []
    for count in (1, 2, 4, 9):
        filled(location, count)
        with opened(location) as mine:
            heads.append(mine.head(KEY))
    with opened(location) as mine:
        for older in heads:
            proof = mine.extend(older, heads[-1], PUBLIC)
            assert log.check(log.read_proof(log.write_proof(proof)), PUBLIC).size == 16


def test_several_append_at_once_without_a_gap(location: str) -> None:
    filled(location, 1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: filled(location, *[3] * 5), range(4)))
    with opened(location) as mine:
        assert mine.size == 61
        leaves = [merkle.leaf_hash(mine.entry(number)) for number in range(61)]
        assert log.read_head(mine.head(KEY), PUBLIC).root == merkle.root_of(leaves)


def test_entries_cannot_be_changed_or_taken_out(location: str) -> None:
    filled(location, 3)
    inventory = attest.open_inventory(location)
    for statement in ("UPDATE log_entry SET about = about", "DELETE FROM log_entry"):
        with (
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            inventory.engine.begin() as connection,
        ):
            connection.execute(sa.text(statement))
    inventory.close()


def test_what_is_rolled_back_was_never_in_the_log(location: str) -> None:
    filled(location, 3)
    with pytest.raises(ZeroDivisionError), opened(location) as mine:
        mine.append([entry_of(3)])
        assert mine.size == 4
        raise ZeroDivisionError
    with opened(location) as mine:
        assert mine.size == 3
    filled(location, 2)
    with opened(location) as mine:
        leaves = [merkle.leaf_hash(mine.entry(number)) for number in range(5)]
        assert log.read_head(mine.head(KEY), PUBLIC).root == merkle.root_of(leaves)


def test_a_log_rewritten_behind_its_back_is_noticed(location: str) -> None:
    """Whoever has the database and the log's key forges a history: the head seen before tells."""
    filled(location, 5)
    with opened(location) as mine:
        seen = mine.head(KEY)
    inventory = attest.open_inventory(location)
    with inventory.engine.begin() as connection:
        drop_triggers(connection)
        for table in (LOG_NODES, LOG_ENTRIES):
            connection.execute(sa.delete(table))
        Log(connection).append(
            [Entry.of(b"other") if number == 3 else entry_of(number) for number in range(8)]
        )
        forged = Log(connection).extend(seen, Log(connection).head(KEY), PUBLIC)
    inventory.close()
    with pytest.raises(LogError, match="rewritten"):
        log.check(forged, PUBLIC)


def drop_triggers(connection: sa.Connection) -> None:
    on = " ON log_entry" if connection.dialect.name == "postgresql" else ""
    names = ["log_entry_stays"] if on else ["log_entry_stays", "log_entry_remains"]
    for name in names:
        connection.execute(sa.text(f"DROP TRIGGER {name}{on}"))


def test_one_changed_entry_makes_its_own_proof_fail(location: str) -> None:
    """Without the hashes made anew, not even a new head helps."""
    filled(location, 6)
    inventory = attest.open_inventory(location)
    with inventory.engine.begin() as connection:
        drop_triggers(connection)
        changed = sa.update(LOG_ENTRIES).where(LOG_ENTRIES.c.number == 2)
        connection.execute(changed.values(content=b"entry 9"))
        proof = Log(connection).prove(2, Log(connection).head(KEY), PUBLIC)
    inventory.close()
    with pytest.raises(LogError, match="not under this head"):
        log.check(proof, PUBLIC)


def test_forged_heads_and_proofs_are_refused(tmp_path: Path) -> None:
    location = str(tmp_path / "log.sqlite")
    filled(location, 6)
    with opened(location) as mine:
        head = mine.head(KEY)
        good = mine.prove(2, head, PUBLIC)
        older = mine.head(KEY)
        mine.append([Entry.of(b"new")])
        grown = mine.extend(older, mine.head(KEY), PUBLIC)
    stranger = log.sign_head(log.read_head(head, PUBLIC), private_key(5))
    other_type = cose.sign1(cose.read1(head).payload, KEY, {3: "application/else"})
    forged: list[Inclusion | Consistency] = [
        replace(good, entry=b"entry 3"),
        replace(good, number=3),
        replace(good, path=good.path[:-1]),
        replace(good, path=(*good.path, bytes(32))),
        replace(good, head=stranger),
        replace(good, head=head[:-1]),
        replace(good, head=other_type),
        replace(good, head=grown.newer),
        replace(grown, older=grown.newer, newer=grown.older),
        replace(grown, path=grown.path[1:]),
        replace(grown, older=stranger),
    ]
    for proof in forged:
        with pytest.raises(LogError):
            log.check(log.read_proof(log.write_proof(proof)), PUBLIC)


@given(st.binary(max_size=200))
def test_junk_is_no_proof(data: bytes) -> None:
    with pytest.raises(LogError):
        log.read_proof(data)
    with pytest.raises(LogError):
        log.read_head(data, PUBLIC)


def test_every_verdict_is_in_the_log_and_does_not_name_its_device(location: str) -> None:
    inventory = attest.open_inventory(location)
    attest.endorse(GOOD.identity_facts, OPERATOR, inventory)
    for _ in range(3):
        nonce = attest.new_challenge(inventory)
        answer = GOOD.answer(nonce)
        attest.attest(answer, nonce, inventory, OPERATOR.public_key(), REFERENCES)
    inventory.close()
    with opened(location) as mine:
        assert mine.size == 3
        entry = mine.entry(2)
    assert GOOD.identity_facts.instance_id not in entry
    assert GOOD.identity_facts.instance_id.hex().encode() not in entry
    decoded = cbor.decode(entry)
    assert isinstance(decoded, dict)
    assert decoded["verdict"] == "trusted"
    assert decoded["evidence"] == hashlib.sha256(pack(answer)).digest()


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COFFRET_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("COFFRET_LOG", str(tmp_path / "log.sqlite"))

    @click.group()
    def door() -> None:
        """A front door."""

    door.add_command(log_group)
    return lambda *words: CliRunner().invoke(door, ["log", *map(str, words)])


def bundle(folder: Path, version: str) -> Path:
    folder.mkdir()
    values = replace(REFERENCES, version=version)
    (folder / "corim.cbor").write_bytes(corim.sign(corim.reference_values(values), SIGNER, "c"))
    return folder


def test_a_release_is_added_proved_and_verified_by_somebody_else(run: Run, tmp_path: Path) -> None:
    one, two = bundle(tmp_path / "one", "1.0.0"), bundle(tmp_path / "two", "2.0.0")
    assert run("add", one).stdout == "entry 0\n"
    assert "was entry 0 already" in run("add", one).stdout
    assert run("head", "--out", tmp_path / "seen.head").exit_code == 0
    assert run("add", two).stdout == "entry 1\n"
    assert run("prove", "--bundle", two, "--out", tmp_path / "two.proof").exit_code == 0
    public = tmp_path / "log.pem"
    public.write_text(keys.public_pem(keys.load("log").public))
    away = ("--log-key", public, "--keys", tmp_path / "nobody")
    done = run("verify", tmp_path / "two.proof", *away, "--bundle", two)
    assert done.exit_code == 0, done.output
    assert '"version": "2.0.0"' in done.stdout
    other = run("verify", tmp_path / "two.proof", *away, "--bundle", one)
    assert isinstance(other.exception, CoffretError)
    assert other.exception.exit_code == 1
    grew = tmp_path / "grew.proof"
    assert run("prove", "--since", tmp_path / "seen.head", "--out", grew).exit_code == 0
    done = run("verify", grew, *away, "--head", tmp_path / "seen.head")
    assert "begins with the older" in done.stdout


def test_a_release_shown_only_to_some_is_noticed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper keeps two logs of one length: the one with the bad release for its victims."""
    good, bad = bundle(tmp_path / "good", "1.0.0"), bundle(tmp_path / "bad", "1.0.1")
    run("add", good)
    run("prove", "--bundle", good, "--out", tmp_path / "good.proof")
    monkeypatch.setenv("COFFRET_LOG", str(tmp_path / "victims.sqlite"))
    run("add", bad)
    run("head", "--out", tmp_path / "victims.head")
    noticed = run("verify", tmp_path / "good.proof", "--head", tmp_path / "victims.head")
    assert isinstance(noticed.exception, CoffretError)
    assert "not everybody was shown the same one" in noticed.exception.message
    assert noticed.exception.exit_code == 1


def test_what_was_not_released_has_no_proof(run: Run, tmp_path: Path) -> None:
    refused = run("prove", "--bundle", bundle(tmp_path / "b", "1.0.0"), "--out", tmp_path / "p")
    assert isinstance(refused.exception, CoffretError)
    assert refused.exception.exit_code == 1
    assert not (tmp_path / "p").exists()
    assert isinstance(run("prove", "--out", tmp_path / "p").exception, CoffretError)
