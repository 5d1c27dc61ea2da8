# SPDX-License-Identifier: Apache-2.0
"""What an enclave can do: speak on its channels, release through its gates, tell the time, log.

The module is built into the image (firmware/runtime/vm/modenclave.c implements this page).
Channel and gate names are those of `appliance.toml`: the name of the other end, or, for a sender
behind a gate, the gate's own short name. `coffret check` narrows every `name: str` below to the
names that this enclave really has.
"""

from collections.abc import Callable
from typing import Final, Never, TypeAlias, final

Data: TypeAlias = bytes | bytearray | memoryview

class Denied(Exception):  # noqa: N818  (the word a developer reads)
    """The monitor refuses: the flow is not allowed, or the budget of a gate does not cover it.

    `str(error)` names the channel or gate. Trying again does not help.
    """

@final
class Output:
    """The sending end of a channel."""

    name: Final[str]
    size: Final[int]
    """Most bytes of one message."""

    def send(self, data: Data, /) -> bool:
        """Copy one message into the channel; False when it is full (nothing was sent).

        True always when the receiver sees more than this enclave does (`kind = "emit"`): whether
        there was room is then not this enclave's to know, and what found none is dropped.
        Raises ValueError when `data` is longer than the channel's size, or differs from its fixed
        size; Denied when the monitor refuses the flow. Never blocks.
        """

    def emit(self, data: Data, /) -> None:
        """`send` without an answer."""

@final
class Input:
    """The receiving end of a channel, or `NAME.faults`, what a supervisor is told of NAME.

    A report of a fault is `struct.unpack("<B3xIII", message)`: reason (`enum fault_reason`), how
    many faults since boot, address of the instruction and of the data (0: not known).
    """

    name: Final[str]
    size: Final[int]
    """Most bytes of one message."""

    def receive(self) -> bytes | None:
        """Take the oldest message, or None when there is none. Never blocks."""

    def dropped(self) -> int:
        """How many messages found no room here since boot."""

@final
class Caller:
    """The asking end of a call."""

    name: Final[str]
    size: Final[int]
    """Most bytes of one request."""

    def call(self, data: Data, /) -> bytes:
        """Send one request and wait for its reply.

        Raises OSError (ECONNRESET) when the other side ends before it has replied, ValueError for a
        wrong size, Denied when the monitor refuses the flow.
        """

@final
class Service:
    """The answering end of a call."""

    name: Final[str]
    size: Final[int]
    """Most bytes of one request."""

    def receive(self) -> bytes | None:
        """Take the request that waits, or None. Its caller waits for `reply`."""

    def reply(self, data: Data, /) -> None:
        """Answer the request taken last.

        Raises OSError when nobody waits for it, ValueError for a wrong size.
        """

    def serve(self, handler: Callable[[bytes], Data], /) -> Never:
        """For ever: wait for a request, reply with what `handler` makes of it.

        The fastest way: the reply and the wait for the next request are one call of the monitor.
        """

@final
class Gate:
    """A named point where labelled data may leave, under its owner's signed grant."""

    name: Final[str]
    size: Final[int]
    """Most bytes of one release."""

    def release(self, data: Data, /) -> bool:
        """Send one message through the gate; the monitor counts it and writes it to the log.

        False when the budget of the present window is used up, or the channel is full: try later.
        Raises ValueError for a wrong size, Denied when the monitor refuses the flow.
        """

def output(name: str, /) -> Output:
    """The channel to the enclave or sink `name`. Raises ValueError when there is none."""

def input(name: str, /) -> Input:
    """The channel from the enclave `name`. Raises ValueError when there is none."""

def caller(name: str, /) -> Caller:
    """The calls (`kind = "call"`) to the enclave `name`. Raises ValueError when there are none."""

def service(name: str, /) -> Service:
    """The calls from the enclave `name`. Raises ValueError when there are none."""

def gate(name: str, /) -> Gate:
    """The gate `name` of this enclave (`as` in the manifest). Raises ValueError when none."""

def wait(*inputs: Input | Service, timeout_ms: int | None = None) -> Input | Service | None:
    """Sleep until one of `inputs` has a message, and return the first that has; None at timeout.

    Without inputs it only sleeps. `timeout_ms=None` waits for ever. A worker (`runs` in the
    manifest) that waits and has nothing ends here, and is started afresh for the next message.
    """

async def next_message(input: Input | Service, /) -> bytes:
    """The oldest message of `input`, once there is one: for a coroutine of `asyncio` to await.

    Others run meanwhile; while none can, the enclave sleeps as in `wait`, and a worker ends. Raises
    RuntimeError without a running event loop.
    """

def log(text: str, /) -> None:
    """Write one line, at most 120 bytes of UTF-8, to the device's log.

    The log can be read on the management port, so it is a sink that accepts nothing: the monitor
    drops the text of an enclave whose secrecy label is not empty.
    """

def debug(text: str, /) -> None:
    """The same in an image of the debug profile; nothing at all in a release, where a line that is
    just this call is not even compiled: `text` is not computed there.
    """

def ticks_ms() -> int:
    """Milliseconds since boot; grows, never wraps."""

def sleep_ms(ms: int, /) -> None:
    """Let others run for `ms` milliseconds."""

def account() -> tuple[int, int, int, int, int]:
    """What this enclave has used.

    Milliseconds of processor time since boot, bytes of memory it owns, most bytes of stack in this
    life, faults and restarts since boot.
    """

def setting(name: str, /) -> str | None:
    """What the operator gave this very board under that name, or None (`devices = ["settings"]`).

    Fixed once the board is secured. Raises ValueError when the enclave has no grant for settings.
    """

def name() -> str:
    """This enclave's name in the manifest."""

def secrecy() -> tuple[str, ...]:
    """The tags this enclave may know of, in the order of the manifest."""

def integrity() -> tuple[str, ...]:
    """The tags this enclave is vouched for, in the order of the manifest."""
