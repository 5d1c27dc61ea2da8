# SPDX-License-Identifier: Apache-2.0
"""How the demo talks: rich on a terminal, plain lines elsewhere, the same words in both."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

_INDENT = 4
_WIDTH = 92


@dataclass(slots=True)
class Narrator:
    """Writes to `console`; on no terminal rich's markup and boxes are left out."""

    console: Console
    acts: int = field(default=0)

    @property
    def _rich(self) -> bool:
        return self.console.is_terminal

    def title(self, title: str, text: str) -> None:
        """The very beginning."""
        if self._rich:
            body = Text(text, justify="left")
            self.console.print()
            self.console.print(Panel(body, title=f"[bold]{title}[/]", width=_WIDTH, padding=(1, 2)))
        else:
            self._plain(f"{title}\n{text}")

    def act(self, name: str, text: str) -> None:
        """A new act, with a sentence on what is about to happen."""
        self.acts += 1
        if self._rich:
            self.console.print()
            self.console.print(Text.assemble((f"{self.acts:>2}  ", "bold cyan"), (name, "bold")))
            self.console.print(Padding(Text(text), (0, 0, 0, _INDENT)), width=_WIDTH)
        else:
            self._plain("")
            self._plain(f"{self.acts}. {name}")
            self._plain(text)

    def command(self, words: tuple[str, ...]) -> None:
        """What a person would type for it."""
        line = " ".join(words)
        if self._rich:
            self.console.print(Text(f"{'':{_INDENT}}$ {line}", style="cyan"), soft_wrap=True)
        else:
            self._plain(f"    $ {line}")

    def said(self, lines: list[str]) -> None:
        """What came of it."""
        for line in lines:
            for part in textwrap.wrap(line, _WIDTH - _INDENT - 2) or [""]:
                if self._rich:
                    self.console.print(
                        Text.assemble((f"{'':{_INDENT}}│ ", "dim"), part), soft_wrap=True
                    )
                else:
                    self._plain(f"    | {part}")

    def as_told(self, what: str, seconds: float) -> None:
        """The act went as it must."""
        if self._rich:
            mark = (f"{'':{_INDENT}}✔ ", "bold green")
            self.console.print(Text.assemble(mark, (what, "green"), (f"  {seconds:.1f} s", "dim")))
        else:
            self._plain(f"    ok: {what} ({seconds:.1f} s)")

    def otherwise(self, what: str, lines: list[str]) -> None:
        """The act did not go as it must."""
        if self._rich:
            self.console.print(Text.assemble((f"{'':{_INDENT}}✘ ", "bold red"), (what, "bold red")))
        else:
            self._plain(f"    NOT AS TOLD: {what}")
        self.said(lines)

    def end(self, text: str, *, good: bool) -> None:
        """The very end."""
        if self._rich:
            self.console.print()
            style = "green" if good else "red"
            self.console.print(Panel(Text(text), border_style=style, width=_WIDTH))
        else:
            self._plain("")
            self._plain(text)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """While something takes time: a spinner on a terminal."""
        if not self._rich:
            yield
            return
        with self.console.status(Text(what, style="dim"), spinner="dots"):
            yield

    def _plain(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
