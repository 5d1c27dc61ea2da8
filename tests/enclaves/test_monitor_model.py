# SPDX-License-Identifier: Apache-2.0
"""The reference monitor: bounded queues, labels on every message, budgets that hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enclaves.labels import label
from enclaves.monitor_model import US_PER_S, Answer, Channel, Gate, Monitor, System, Task

SECRET = label(["s"])
SYSTEM = System(
    tasks=(
        Task("high", SECRET),
        Task("low"),
        Task("judge", integrity=label(["v"])),
        Task("usb", sink=True),
    ),
    channels=(
        Channel("high", "low", "high", 1, 4, 2),
        Channel("low", "high", "low", 0, 4, 2),
        Channel("out", "high", "usb", 0, 8, 1, "high.out"),
        Channel("judge", "low", "judge", 0, 4, 2),
        Channel("seal", "low", "judge", 0, 4, 2, "low.seal"),
        Channel("theft", "low", "usb", 0, 8, 1, "high.out"),
    ),
    gates=(
        Gate("high.out", "high", SECRET, label([]), 4, 2, 10),
        Gate("low.seal", "low", label([]), label(["v"]), 4, 100, 1),
    ),
)


def test_messages_arrive_in_order_and_a_full_queue_takes_no_more() -> None:
    monitor = Monitor(SYSTEM)
    answers = [monitor.send("low", 0, m, 0) for m in (b"a", b"bb", b"c")]
    assert answers == [0, 0, 0]  # that the secret one has not read is not the public one's to know
    assert monitor.dropped("high", 0) == 1
    assert monitor.readable("high") == {0}
    assert monitor.receive("high", 0, 1) == b"a"
    assert monitor.receive("high", 0, 1) is Answer.SIZE
    assert monitor.receive("high", 0, 2) == b"bb"
    assert monitor.receive("high", 0, 2) is Answer.EMPTY


def test_sizes_and_ends_are_checked() -> None:
    monitor = Monitor(SYSTEM)
    assert monitor.send("low", 0, b"", 0) is Answer.SIZE
    assert monitor.send("low", 0, b"12345", 0) is Answer.SIZE
    for task, number in (("high", 0), ("low", 99), ("low", -1), ("nobody", 0)):
        assert monitor.send(task, number, b"x", 0) is Answer.DENIED
        assert monitor.receive("low", number, 4) is Answer.DENIED


def test_a_refused_flow_is_logged_once() -> None:
    monitor = Monitor(SYSTEM)
    assert [monitor.send("high", 1, b"x", 0) for _ in range(3)] == [Answer.DENIED] * 3
    assert monitor.log == ["flow refused low"]
    assert monitor.receive("low", 1, 4) is Answer.EMPTY


def test_only_a_gate_that_vouches_reaches_who_trusts() -> None:
    monitor = Monitor(SYSTEM)
    assert monitor.send("low", 3, b"x", 0) is Answer.DENIED
    assert monitor.send("low", 4, b"x", 0) is Answer.OK


def test_nobody_goes_through_anothers_gate() -> None:
    monitor = Monitor(SYSTEM)
    assert monitor.send("low", 5, b"x", 0) is Answer.DENIED
    assert monitor.left == {}


def test_a_budget_is_used_up_and_comes_back() -> None:
    monitor = Monitor(SYSTEM)
    window = 10 * US_PER_S
    sends = [monitor.send("high", 2, b"x", t) for t in (5, 6, 7, window + 4, window + 5)]
    assert sends == [0, 0, Answer.BUDGET, Answer.BUDGET, 0]
    assert monitor.send("high", 2, b"12345", 0) is Answer.SIZE
    assert monitor.log.count("gate budget used up high.out #3") == 1
    assert monitor.left == {"usb": [b"x"] * 3}


@given(st.lists(st.tuples(st.integers(0, 4 * US_PER_S), st.binary(max_size=6)), max_size=60))
def test_no_schedule_gets_more_through_a_gate_than_its_budget(
    tries: list[tuple[int, bytes]],
) -> None:
    monitor, now, sent = Monitor(SYSTEM), 0, []
    for wait, message in tries:
        now += wait
        if monitor.send("high", 2, message, now) is Answer.OK:
            sent.append(now)
            assert len(message) <= 4
    # Windows begin with an attempt, so any span of one length can touch two of them.
    for first in sent:
        assert sum(first <= t < first + 10 * US_PER_S for t in sent) <= 2 * 2
    assert len(monitor.left.get("usb", [])) == len(sent)
