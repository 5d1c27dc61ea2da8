# SPDX-License-Identifier: Apache-2.0
"""The story, act by act. Each act runs real commands and checks what they did."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.errors import NO
from flasher.bundle import read_bundle
from flasher.demo.forgery import flip_bit, strip_signature
from flasher.demo.narrator import Narrator
from flasher.demo.stage import BOARD_NAME, NotAsToldError, Outcome, Stage
from flasher.reasons import Reason

BOARD = "mps2-an385"
FIRST, SECOND = "1.0.0", "1.1.0"
_SUMMARY_S = 60.0


@dataclass(slots=True)
class Play:
    """What the acts share."""

    stage: Stage
    narrator: Narrator

    def try_(self, *words: str, as_json: bool = False) -> Outcome:
        """Shows a command and runs it; `as_json` asks for its document, for the check behind it."""
        self.narrator.command(("coffret", *words))
        with self.narrator.busy(f"{words[0]} …"):
            return self.stage.run(*words, *(("--json",) if as_json else ()))

    def run(self, *words: str, wanted: int = 0, as_json: bool = False) -> Outcome:
        """Like `try_`, and holds its exit status to `wanted`."""
        outcome = self.try_(*words, as_json=as_json)
        if outcome.code != wanted:
            raise NotAsToldError(f"its exit status is {outcome.code}, not {wanted}", outcome.lines)
        return outcome

    def refused(self, *words: str, because: str) -> None:
        """Runs a command that must be refused (exit 1) with `because` in its error."""
        outcome = self.run(*words, wanted=NO)
        error = _line(outcome.err, "error: ")
        if because not in error:
            raise NotAsToldError(f"it was refused, but not because {because}", outcome.lines)
        self.narrator.said([_without_port(error)])

    def build(self, folder: str, bundle: str) -> dict[str, Any]:
        """Builds the appliance in `folder`; returns what `coffret inspect` says."""
        self.run("build", folder, "--board", BOARD, "-o", bundle)
        return self.stage.run("inspect", bundle, "--json").document

    def set_version(self, version: str, counter: int) -> None:
        """Edits the copy's manifest as a developer would."""
        self._edit(r'version = "[^"]*"', f'version = "{version}"')
        self._edit(r"security_counter = \d+", f"security_counter = {counter}")

    def open_usb(self) -> None:
        """The manifest with one line changed: USB may carry everything."""
        self._edit(r"(\[sink\.usb\]\naccepts = )\[\]", r'\1["alice/health"]')

    def _edit(self, pattern: str, new: str) -> None:
        path = self.stage.folder / "heart_diary" / "appliance.toml"
        text, count = re.subn(pattern, new, path.read_text(), count=1)
        if count != 1:
            raise NotAsToldError(f"{path.name} has no {pattern}", [])
        path.write_text(text)


def _line(text: str, start: str) -> str:
    """The first line that starts so, without its start."""
    for line in text.splitlines():
        if line.startswith(start):
            return line.removeprefix(start)
    return ""


def _without_port(error: str) -> str:
    return re.sub(r"^/dev/\S+: ", "", error)


def flows(play: Play) -> str:
    play.stage.bring("heart_diary")
    outcome = play.run("flows", "heart_diary")
    said = [line for line in outcome.out.splitlines() if line.strip()]
    if not any("only as" in line for line in said):
        raise NotAsToldError("it does not say how the data may leave", said)
    play.narrator.said(said)
    return "proved before anything is compiled"


def build(play: Play) -> str:
    play.set_version(FIRST, 1)
    facts = play.build("heart_diary", f"diary-{FIRST}")
    sizes: dict[str, int] = facts["sizes"]
    digests: dict[str, str] = facts["digests"]
    parts = ("monitor", "vm", "bytecode", "tables")
    play.narrator.said(
        [
            f"one sealed image of {sizes['image'] / 1024:.0f} KiB: "
            + ", ".join(f"{name} {sizes[name] / 1024:.1f}" for name in parts)
            + f"; boot {sizes['boot'] / 1024:.1f} KiB",
            f"flow policy {digests['policy'][:16]}…, image {digests['image_a'][:16]}…",
        ]
    )
    return "built, audited and signed, once for each slot"


def boot(play: Play) -> str:
    play.narrator.command(("coffret", *play.stage.switch_on(f"diary-{FIRST}")))
    with play.narrator.busy("a day passes in a second; waiting for the first week to end"):
        line = play.stage.next_line(_SUMMARY_S)
    if not line.startswith("week 1: "):
        raise NotAsToldError("something else than the week's summary left the board", [line])
    play.narrator.said([f"usb: {line}"])
    return "the first thing that leaves the board is the week's summary"


def update(play: Play) -> str:
    play.set_version(SECOND, 2)
    play.build("heart_diary", f"diary-{SECOND}")
    outcome = play.run(*_flash(SECOND), as_json=True)
    done = outcome.document
    if (done["slot"], done["version"], done["changed"]) != ("B", SECOND, True):
        raise NotAsToldError("another slot or version runs", outcome.lines)
    play.narrator.said([f"slot B runs {SECOND}, confirmed; {FIRST} stayed untouched in slot A"])
    return "uploaded, tried, confirmed"


def _flash(version: str) -> tuple[str, ...]:
    return ("flash", f"diary-{version}", "--port", BOARD_NAME)


def provision(play: Play) -> str:
    words = ("provision", "--port", BOARD_NAME, "--name", "kitchen")
    done = play.run(*words, as_json=True).document
    play.narrator.said([f"{done['name']}: device {str(done['device'])[:16]}…"])
    return "it proved its identity; the operator's key endorsed it"


def trusted(play: Play) -> str:
    verdict = _attest(play, "trusted")
    count = len(verdict["claims"])
    play.narrator.said([f"all {count} claims are as the bundle says"])
    return "trusted"


def _attest(play: Play, wanted: str) -> dict[str, Any]:
    """The verdict on the board against the second version's bundle."""
    words = ("attest", "--port", BOARD_NAME, "--bundle", f"diary-{SECOND}")
    outcome = play.try_(*words, as_json=True)
    verdict: dict[str, Any] = outcome.document
    said = verdict["verdict"]
    if said != wanted or (outcome.code == 0) != (wanted == "trusted"):
        what = f"it says {said} with exit status {outcome.code}, not {wanted}"
        raise NotAsToldError(what, [f"{c}: {why}" for c, why in _wrong(verdict).items()])
    return verdict


def _wrong(verdict: dict[str, Any]) -> dict[str, str]:
    """Why, by claim, for the claims that are not as expected."""
    return {claim["claim"]: claim["why"] for claim in verdict["claims"] if not claim["ok"]}


def flipped_bit(play: Play) -> str:
    return _forged(play, "flipped.bin", flip_bit, Reason.HASH)


def older_version(play: Play) -> str:
    play.refused(*_flash(FIRST), because=Reason.COUNTER.words)
    return "refused; the board goes on with what it has"


def unsigned(play: Play) -> str:
    return _forged(play, "unsigned.bin", strip_signature, Reason.NO_SIGNATURE)


def _forged(play: Play, name: str, forge: Callable[[bytes], bytes], reason: Reason) -> str:
    bundle = read_bundle(play.stage.folder / f"diary-{SECOND}")
    _write(play.stage.folder / name, forge(bundle.slot_image(0).data))
    play.refused("flash", name, "--port", BOARD_NAME, because=reason.words)
    return "refused; the board goes on with what it has"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def changed_policy(play: Play) -> str:
    play.open_usb()
    play.build("heart_diary", "diary-open")
    play.run("flash", "diary-open", "--port", BOARD_NAME, as_json=True)
    play.narrator.said(["it is signed by the right key, so it boots"])
    wrong = _wrong(_attest(play, "untrusted"))
    said = [f"{claim}: {why}" for claim, why in wrong.items()]
    if "policy" not in wrong:
        raise NotAsToldError("the verdict does not name the policy", said)
    play.narrator.said(["untrusted:", *said])
    return "it runs, but nobody needs to trust it"


def illegal_flow(play: Play) -> str:
    play.stage.bring("heart_diary_leaky")
    outcome = play.run(
        "build", "heart_diary_leaky", "--board", BOARD, "-o", "diary-leaky", wanted=NO
    )
    said = [line for line in outcome.err.splitlines() if "alice/health" in line]
    if not said or (play.stage.folder / "diary-leaky").exists():
        raise NotAsToldError("it does not name the tag, or it left a bundle", outcome.lines)
    play.narrator.said(said)
    return "refused; there is no image to flash"


Act = Callable[[Play], str]

# Name, what is about to happen, the act.
ACTS: tuple[tuple[str, str, Act], ...] = (
    (
        "The appliance",
        "Four enclaves keep Alice's heart diary. First coffret proves where her data can go.",
        flows,
    ),
    (
        "Build",
        "The runtime is cut down to what the diary uses, and linked once for each slot.",
        build,
    ),
    (
        "Boot",
        "On a virtual Cortex-M3 board, boot verifies and measures the image, then starts it.",
        boot,
    ),
    (
        "Update",
        f"Version {SECOND} goes into the slot that does not run, and must prove itself there.",
        update,
    ),
    (
        "Provision",
        "The board shows that it holds its identity key, and the operator vouches for it.",
        provision,
    ),
    (
        "Attest",
        "A fresh nonce goes in; evidence of everything that runs comes out, and is appraised.",
        trusted,
    ),
    (
        "Attack: one flipped bit",
        f"The image of {SECOND} for the other slot, with a single bit of its code changed.",
        flipped_bit,
    ),
    (
        "Attack: an older version",
        f"{FIRST} is genuine and signed, but its security counter is lower than the confirmed one.",
        older_version,
    ),
    (
        "Attack: an unsigned image",
        "The bytes and their hash are right; only the signature is missing.",
        unsigned,
    ),
    (
        "Attack: a changed policy",
        "Somebody with the signing key lets USB carry everything: one line of the manifest.",
        changed_policy,
    ),
    (
        "Attack: an illegal flow",
        "A channel from the diary to the public uplink, without Alice's consent.",
        illegal_flow,
    ),
)
