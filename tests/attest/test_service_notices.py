# SPDX-License-Identifier: Apache-2.0
"""Whoever must know hears of it: webhooks, signed, again until taken; silence ages to unknown."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook, WebhookVerificationError

import attest
from attest.inventory import Inventory
from attest.record import age
from attest.service import notices
from attest.service.notices import Notice
from attest.service.settings import Webhook as Hook
from attest.tables import NOTICES, STANDINGS
from boards.errors import CoffretError
from tests.attest.page_fleet import report
from tests.attest.running_service import Home, RunningService
from tests.attest.simulated_device import GOOD, OPERATOR, digest
from tests.attest.webhook_receiver import Receiver

LEAKY = replace(GOOD, policy=digest("leaky"))
NOTICE = Notice(7, GOOD.identity_facts.instance_id, "kitchen", 1, "trusted", "unknown", "why", 1)


def test_a_change_is_told_once_signed_and_again_until_it_is_taken(tmp_path: Path) -> None:
    home = Home.make(tmp_path / "home")
    attest.endorse(GOOD.identity_facts, OPERATOR, home.inventory, name="kitchen")
    with Receiver(tmp_path, refuse=1) as receiver:
        hook = ("--webhook", receiver.url, "--webhook-secret", receiver.secret)
        with RunningService(home, *hook, "--workers", "2", "--max-age", "8") as service:
            service.publish()
            time.sleep(1.1)
            with service.client() as client:
                for device in (GOOD, GOOD, LEAKY, LEAKY):
                    report(client, device)
                receiver.wait_for(2)
                # By then, on a busy machine, it may have aged too.
                told = sorted(
                    (event["data"]["before"] or "", event["data"]["verdict"])
                    for event in receiver.taken
                    if event["data"]["verdict"] != "unknown"
                )
                assert told == [("", "trusted"), ("trusted", "untrusted")]
                assert {event["data"]["name"] for event in receiver.taken} == {"kitchen"}
                # The refused one came again, later, under the same id.
                ids = [identity for _, identity in receiver.tries]
                assert len(ids) == 3
                assert len(set(ids)) == 2
                (again,) = (each for each in set(ids) if ids.count(each) == 2)
                first, second = (at for at, identity in receiver.tries if identity == again)
                assert second - first >= notices.FIRST_WAIT - 1
                # Nobody reports any more: it ages, and that is told too.
                receiver.wait_for(3)
                event = receiver.taken[-1]["data"]
                assert (event["before"], event["verdict"]) == ("untrusted", "unknown")
                assert "no report" in event["why"]
                shown = client.get("/v1/devices/kitchen").json()
                assert shown["verdict"] == "unknown"
                # A report brings it back.
                report(client, GOOD)
                assert client.get("/v1/devices/kitchen").json()["verdict"] == "trusted"
    home.inventory.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path) -> Inventory:
    location = str(tmp_path / "inventory.sqlite")
    if request.param == "postgresql":
        location = request.getfixturevalue("postgresql").url()
    return attest.open_inventory(location)


def test_a_silent_device_ages_once_whoever_looks(inventory: Inventory) -> None:
    standing = {
        "instance_id": GOOD.identity_facts.instance_id,
        "verdict": "trusted",
        "why": "",
        "since": 100,
        "reported": 100,
        "attestation": 1,
    }
    with inventory.engine.begin() as connection:
        connection.execute(sa.insert(STANDINGS).values(standing))
        assert age(connection, 160, 60, notify=True) == 0
        assert age(connection, 161, 60, notify=True) == 1
        assert age(connection, 162, 60, notify=True) == 0
    with inventory.engine.connect() as connection:
        (row,) = connection.execute(sa.select(NOTICES)).all()
        assert (row.before, row.verdict, row.due) == ("trusted", "unknown", 161)
        standing_now = connection.execute(sa.select(STANDINGS)).one()
    assert (standing_now.verdict, standing_now.since, standing_now.reported) == (
        "unknown",
        161,
        100,
    )
    inventory.close()


def test_a_notice_waits_longer_each_time_and_is_given_up_at_last(inventory: Inventory) -> None:
    row = {
        "id": 7,
        "instance_id": NOTICE.instance_id,
        "time": 0,
        "before": None,
        "verdict": "trusted",
        "why": "",
        "attempts": 0,
        "due": 0,
        "delivered": None,
    }
    with inventory.engine.begin() as connection:
        connection.execute(sa.insert(NOTICES).values(row))
    now, waits = 0, []
    for _ in range(notices.MAX_ATTEMPTS):
        (taken,) = notices.take_due(inventory.engine, now)
        assert notices.take_due(inventory.engine, now) == []  # leased
        notices.settle(inventory.engine, taken, now, delivered=False)
        with inventory.engine.connect() as connection:
            due = connection.execute(sa.select(NOTICES.c.due)).scalar_one()
        if due is None:
            break
        waits.append(due - now)
        now = due
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == notices.LONGEST_WAIT
    assert len(waits) == notices.MAX_ATTEMPTS - 1
    inventory.close()


def test_a_worker_that_dies_while_sending_leaves_the_notice_to_another(
    inventory: Inventory,
) -> None:
    row = {
        "id": 8,
        "instance_id": NOTICE.instance_id,
        "time": 0,
        "before": None,
        "verdict": "trusted",
        "why": "",
        "attempts": 0,
        "due": 0,
        "delivered": None,
    }
    with inventory.engine.begin() as connection:
        connection.execute(sa.insert(NOTICES).values(row))
    assert len(notices.take_due(inventory.engine, 10)) == 1
    assert notices.take_due(inventory.engine, 10 + notices.LEASE - 1) == []
    assert len(notices.take_due(inventory.engine, 10 + notices.LEASE)) == 1
    inventory.close()


def test_a_changed_body_or_another_secret_does_not_verify(tmp_path: Path) -> None:
    with Receiver(tmp_path) as receiver:
        secret = notices.load_secret(receiver.secret)
        checker = Webhook(receiver.secret.read_text())
        body = NOTICE.body()
        signed = notices.headers(NOTICE.id, int(time.time()), body, secret)
        checker.verify(body, signed)
        other = notices.headers(NOTICE.id, int(time.time()), body, secret[::-1])
        old = notices.headers(NOTICE.id, int(time.time()) - 3600, body, secret)
        for content, head in (
            (body.replace(b"unknown", b"trusted"), signed),
            (body, other),
            (body, old),
            (body, signed | {"webhook-id": "msg_8"}),
        ):
            with pytest.raises(WebhookVerificationError):
                checker.verify(content, head)
        sender = notices.Sender(Hook(receiver.url, receiver.secret))
        assert sender.send(NOTICE)
        sender.close()
    sender = notices.Sender(Hook(receiver.url, receiver.secret))
    assert not sender.send(NOTICE)  # nobody is there any more
    sender.close()


@pytest.mark.parametrize("content", ["", "whsec_", "whsec_AAAA", "whsec_!", "A" * 44])
def test_a_secret_that_is_none_is_said_at_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(CoffretError, match="no webhook secret"):
        notices.load_secret(path)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with Receiver(tmp_path) as receiver:
        receiver.secret.chmod(0o644)
        with pytest.raises(CoffretError, match="others can read it"):
            notices.load_secret(receiver.secret)
