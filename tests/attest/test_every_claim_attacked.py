# SPDX-License-Identifier: Apache-2.0
"""Every field of all that a device shows attacked in every way: a no with its reason."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from attest.appraisal import Outcome
from attest.response import Response
from enclaves import cbor
from tests.attest.attacks.documents import (
    DOCUMENTS,
    EARLIER,
    OTHER,
    TOKEN,
    Document,
    appraised,
    shown,
    signed,
)
from tests.attest.attacks.table import FIELDS, Case, cases

TABLE = list(cases())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_what_the_table_starts_from_is_trusted(document: Document) -> None:
    message = signed(document, cbor.encode(document.payload), document.key)
    verdict = appraised(*shown(document, message))
    assert verdict.trusted, [claim for claim in verdict.claims if not claim.ok]


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_attack_gets_a_no_with_its_reason(case: Case) -> None:
    verdict = appraised(case.response, case.expected)
    assert verdict.verdict == "untrusted"
    wrong = {claim.claim: claim for claim in verdict.claims if claim.outcome is Outcome.WRONG}
    assert case.claim in wrong, {name: claim.why for name, claim in wrong.items()}
    assert re.search(case.why, wrong[case.claim].why)
    assert all(claim.why and claim.expected and claim.found for claim in wrong.values())


def test_the_table_is_whole() -> None:
    """At least 300 cases; each field in each way; no two of them the same."""
    assert len(TABLE) >= 300
    ways = defaultdict(set)
    for case in TABLE:
        ways[case.field].add(case.variant)
    assert set(ways) == {str(field) for field in FIELDS}
    everywhere = set.intersection(*ways.values())
    assert everywhere == {
        "forged",
        "re-signed by another key",
        "alg none",
        "HS256 with the public key",
        "ES384 on P-384",
        "ES256 on P-384",
        "of another type",
        "twice",
        "of indefinite length",
        "nested too deeply",
        "within a tag",
        "payload cut within it",
        "message cut within it",
    }
    assert sum("replayed" in each for each in ways.values()) >= 40  # where two devices can differ
    assert sum("stale" in each for each in ways.values()) >= 30
    shown_bytes = Counter((case.document.name, case.message) for case in TABLE)
    assert max(shown_bytes.values()) == 1


def test_a_whole_answer_of_another_time_or_device_is_refused() -> None:
    """Genuine from end to end: only that it is not this device's answer to this challenge."""
    expected = shown(TOKEN, b"")[1]
    for answer, claim in [
        (EARLIER.answer(), "nonce"),
        (
            replace(EARLIER, token_changes={}).answer(),
            "security counter",
        ),  # it answers, with old firmware
        (
            Response(signed(TOKEN, cbor.encode(TOKEN.payload), TOKEN.key), EARLIER.certificate),
            "signature",
        ),
        (OTHER.answer(), "endorsement"),
    ]:
        verdict = appraised(answer, expected)
        assert verdict.verdict == "untrusted"
        assert claim in verdict.differing


def test_every_field_that_is_read_is_in_the_table() -> None:
    """A claim added to a document, and not to the table, is noticed here."""
    for document in DOCUMENTS:
        there = {field.path[0] for field in FIELDS if field.document is document}
        assert there == set(document.payload)
