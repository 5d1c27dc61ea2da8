# SPDX-License-Identifier: Apache-2.0
"""What every transport can be asked, and how a flash goes over any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Literal, Self

from boards.transports import TransportName
from boards.uf2 import Segment
from flasher.errors import GoneError, VerifyError

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a transport can do by itself.

    `enters`: it brings a running board into the boot loader; else a person does, with cable or
    button. `erases`: ranges alone. `verifies`: the bytes come back (`bytes`), the board hashes them
    (`digest`), or only the board itself can tell once it runs (`nothing`). `resets`: it starts what
    it wrote. `anywhere`: any address of the flash can be written, not only a slot.
    """

    enters: bool
    erases: bool
    verifies: Literal["bytes", "digest", "nothing"]
    resets: bool
    anywhere: bool


class Transport(ABC):
    """One way to one board; a context manager. Not for several threads at once.

    Every method raises GoneError (it went away), NoAnswerError (silence), BadAnswerError (nonsense)
    and RefusedError (the board, or its ROM, said no). Addresses are the processor's, sizes bytes.
    """

    name: ClassVar[TransportName]
    capabilities: ClassVar[Capabilities]
    where: str  # what messages call the other end: a port, a drive, a place on the bus

    @abstractmethod
    def enter_boot_loader(self) -> None:
        """Makes the board listen; harmless when it does already."""

    @abstractmethod
    def erase(self, address: int, size: int) -> None:
        """Erases the range, widened to whole sectors."""

    @abstractmethod
    def write(self, segments: Sequence[Segment], progress: Progress) -> None:
        """Programs what was erased, in this order; `progress(done, total)` in bytes of all."""

    @abstractmethod
    def verify(self, segment: Segment) -> None:
        """Raises VerifyError when the board holds other bytes; see `Capabilities.verifies`."""

    @abstractmethod
    def reset(self) -> None:
        """Starts what the flash holds, where the transport can."""

    @abstractmethod
    def close(self) -> None:
        """Gives the port, drive or device back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Memory(Transport):
    """A transport to the bytes of the board's memory; it verifies by reading them back."""

    @abstractmethod
    def read(self, address: int, size: int) -> bytes:
        """The board's bytes."""

    @abstractmethod
    def write_segment(self, segment: Segment, progress: Progress) -> None:
        """Programs one segment; `progress(done, total)` in bytes of the segment."""

    def write(self, segments: Sequence[Segment], progress: Progress) -> None:
        total = sum(len(segment.data) for segment in segments)
        before = 0
        for segment in segments:

            def told(part: int, _: int, before: int = before) -> None:
                progress(before + part, total)

            self.write_segment(segment, told)
            before += len(segment.data)

    def verify(self, segment: Segment) -> None:
        compare(self.where, segment, self.read(segment.address, len(segment.data)))


def compare(where: str, segment: Segment, found: bytes) -> None:
    """Raises VerifyError naming the first address that differs."""
    if found == segment.data:
        return
    pairs = zip(segment.data, found, strict=False)
    at = next((i for i, (one, two) in enumerate(pairs) if one != two), len(found))
    raise VerifyError(where, segment.address + at)


def program(
    transport: Transport, segments: Sequence[Segment], say: Say, progress: Progress
) -> None:
    """Erases, writes and verifies `segments` in their order, then resets the board.

    Can be repeated after any failure: every step starts from nothing. Raises what the transport
    raises; GoneError then says how far the writing was.
    """
    done, total = 0, sum(len(segment.data) for segment in segments)

    def told(now: int, of: int) -> None:
        nonlocal done, total
        done, total = now, of
        progress(now, of)

    transport.enter_boot_loader()
    try:
        if transport.capabilities.erases:
            say("erasing")
            for segment in segments:
                transport.erase(segment.address, len(segment.data))
        say(f"writing by {transport.name}")
        transport.write(segments, told)
        if transport.capabilities.verifies != "nothing":
            say("reading back")
        for segment in segments:
            transport.verify(segment)
    except GoneError as gone:
        raise gone.at(done, total) from gone
    transport.reset()
