# SPDX-License-Identifier: Apache-2.0
"""A verdict as lines that a person reads on a terminal."""

from __future__ import annotations

from attest.explain import explain
from attest.verdict import Claim, Outcome, Verdict

MARKS = {Outcome.OK: "ok", Outcome.WRONG: "NO", Outcome.UNCHECKED: "??"}
SUMMARIES = {
    "trusted": "every claim is as expected.",
    "untrusted": "do not rely on it: {names} differ(s).",
    "unknown": "nothing is wrong, but {names} could not be checked.",
}
DIGEST_SHOWN = 16


def lines(verdict: Verdict, name: str | None = None) -> list[str]:
    """One line a claim, then the verdict. Nothing a device sent reaches the terminal unescaped."""
    width = max((len(claim.claim) for claim in verdict.claims), default=0)
    text = [line for claim in verdict.claims for line in _claim(claim, width)]
    summary = SUMMARIES[verdict.verdict].format(names=", ".join(verdict.differing))
    device = name or verdict.device
    return [_clean(line) for line in (*text, f"{device}: {verdict.verdict}; {summary}")]


def plain(verdict: Verdict) -> list[str]:
    """The verdict in plain words: a paragraph for each thing that is wrong."""
    told = explain(verdict)
    text = [told.headline]
    for reason in told.reasons:
        text += ["", f"{reason.claim}: {reason.means}", f"  {reason.do}", f"  Seen: {reason.seen}."]
    return [_clean(line) for line in text]


def document(verdict: Verdict) -> dict[str, object]:
    """The verdict as JSON, with its explanation and the policy that was applied."""
    return verdict.to_json() | {
        "policy": verdict.policy,
        "explanation": explain(verdict).to_json(),
    }


def _claim(claim: Claim, width: int) -> list[str]:
    head = f"{MARKS[claim.outcome]}  {claim.claim:<{width}}"
    if claim.ok:
        return [f"{head}  {_short(claim.found)}"]
    indent = " " * (width + 6)
    return [
        f"{head}  {claim.why}",
        f"{indent}expected {_short(claim.expected)}",
        f"{indent}found    {_short(claim.found)}",
    ]


def _short(text: str) -> str:
    """Long hex words cut to what a person compares; `--json` has them whole."""
    return " ".join(_cut(word) for word in text.split(" "))


def _cut(word: str) -> str:
    if len(word) > 2 * DIGEST_SHOWN and all(c in "0123456789abcdef" for c in word):
        return f"{word[:DIGEST_SHOWN]}…"
    return word


def _clean(line: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in line)
