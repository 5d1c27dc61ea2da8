# SPDX-License-Identifier: Apache-2.0
"""`coffret demo`: an appliance from source to an attested board, and five attacks on it."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flasher.demo.acts import Act, Play
    from flasher.demo.narrator import Narrator

TITLE = "coffret demo"
WHAT = (
    "An appliance from source to an attested board, and five attacks on it.\n"
    "Every line with a $ is the very command that you could type. Keys, inventory and board live\n"
    "in a temporary directory that is gone afterwards."
)


def play(as_json: bool) -> bool:
    """Plays all acts; True if everything happened as told. JSON goes to stdout, the story then to
    stderr.
    """
    from rich.console import Console  # noqa: PLC0415

    from flasher.demo.narrator import Narrator  # noqa: PLC0415

    # A service manager stops with SIGTERM: the stage is cleared then, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    narrator = Narrator(Console(stderr=as_json, highlight=False))
    narrator.title(TITLE, WHAT)
    start = time.monotonic()
    told = _acts(narrator)
    seconds = time.monotonic() - start
    good = all(act["ok"] for act in told)
    what = "Everything happened as told" if good else "NOT everything happened as told"
    narrator.end(f"{what}: {len(told)} acts in {seconds:.0f} s.", good=good)
    if as_json:
        json.dump({"ok": good, "seconds": round(seconds, 1), "acts": told}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    return good


def _played(act: Act, play: Play) -> str:
    """Plays one act. A command's document without what the act looks for is not as told either."""
    from flasher.demo.stage import NotAsToldError  # noqa: PLC0415

    try:
        return act(play)
    except (KeyError, TypeError) as error:
        raise NotAsToldError(f"a document lacks {error}", []) from error


def _acts(narrator: Narrator) -> list[dict[str, object]]:
    """Every act until one goes otherwise: those behind it build on it."""
    from flasher.demo.acts import ACTS, Play  # noqa: PLC0415
    from flasher.demo.stage import NotAsToldError, Stage  # noqa: PLC0415

    told: list[dict[str, object]] = []
    with Stage() as stage:
        play = Play(stage, narrator)
        for name, text, act in ACTS:
            narrator.act(name, text)
            start = time.monotonic()
            try:
                said = _played(act, play)
            except NotAsToldError as error:
                narrator.otherwise(error.what, error.lines)
                told.append({"act": name, "ok": False, "said": error.what, "lines": error.lines})
                break
            seconds = time.monotonic() - start
            narrator.as_told(said, seconds)
            told.append({"act": name, "ok": True, "said": said, "seconds": round(seconds, 1)})
    return told
