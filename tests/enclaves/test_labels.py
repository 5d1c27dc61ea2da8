# SPDX-License-Identifier: Apache-2.0
"""Labels are a lattice, and the flow rule is monotone in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enclaves.labels import EMPTY, Label, from_mask, label, leaked, mask, unvouched
from enclaves.tags import MAX_TAGS, is_tag_name

NAMES = tuple(f"tag{n}" for n in range(MAX_TAGS))
NUMBERS = {name: number for number, name in enumerate(NAMES)}
LABELS = st.frozensets(st.sampled_from(NAMES), max_size=8)


@given(LABELS, LABELS, LABELS)
def test_data_may_flow_where_it_may_flow_in_two_steps(a: Label, b: Label, c: Label) -> None:
    if not leaked(a, b) and not leaked(b, c):
        assert not leaked(a, c)
    if not unvouched(a, b) and not unvouched(b, c):
        assert not unvouched(a, c)


@given(LABELS, LABELS)
def test_data_may_flow_both_ways_only_between_equal_labels(a: Label, b: Label) -> None:
    assert (not leaked(a, b) and not leaked(b, a)) == (a == b)
    assert (not unvouched(a, b) and not unvouched(b, a)) == (a == b)


@given(LABELS, LABELS)
def test_secrecy_and_integrity_are_each_others_mirror(a: Label, b: Label) -> None:
    assert leaked(a, b) == unvouched(b, a)


@given(LABELS, LABELS)
def test_the_join_is_the_least_label_that_both_may_flow_to(a: Label, b: Label) -> None:
    assert not leaked(a, a | b)
    assert not leaked(b, a | b)
    for tag in a | b:
        smaller = (a | b) - {tag}
        assert leaked(a, smaller) or leaked(b, smaller)


@given(LABELS, LABELS, LABELS, LABELS)
def test_a_larger_privilege_never_forbids(a: Label, b: Label, less: Label, more: Label) -> None:
    assert leaked(a, b, less | more) <= leaked(a, b, less)
    assert unvouched(a, b, less | more) <= unvouched(a, b, less)


@given(LABELS, LABELS, LABELS)
def test_the_rule_is_flumes_with_the_privilege_on_the_senders_side(
    a: Label, b: Label, d: Label
) -> None:
    assert (not leaked(a, b, d)) == (a - d <= b | d)
    assert (not unvouched(a, b, d)) == (b - d <= a | d)


@given(LABELS, LABELS)
def test_masks_order_as_labels_do(a: Label, b: Label) -> None:
    assert from_mask(mask(a, NUMBERS), NAMES) == a
    assert (mask(a, NUMBERS) & ~mask(b, NUMBERS) == 0) == (a <= b)
    assert mask(a | b, NUMBERS) == mask(a, NUMBERS) | mask(b, NUMBERS)


def test_nobody_may_see_what_has_no_label_to_hide() -> None:
    assert not leaked(EMPTY, EMPTY)
    assert leaked(label(["x"]), EMPTY) == {"x"}


def test_tag_names_are_plain() -> None:
    for name in ("health", "alice/health", "a/1", "a_b/c_d"):
        assert is_tag_name(name)
    for name in ("", "Health", "1a", "a/", "/a", "a/b/c", "a b", "a-b", "ä", "a" * 41, "a\n"):
        assert not is_tag_name(name)
