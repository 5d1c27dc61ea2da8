# SPDX-License-Identifier: Apache-2.0
"""`machine` as a sealed image has it: MicroPython's classes, for what the enclave was granted.

The device must stand in `devices` of the enclave (docs/machine.md). `coffret check` narrows the
ids below to those of this enclave on this board; editors get the same from `coffret check`.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, SupportsInt, TypeAlias, final, overload

Buffer: TypeAlias = bytes | bytearray | memoryview
PinId: TypeAlias = int | str
UartId: TypeAlias = int
I2cId: TypeAlias = int
SpiId: TypeAlias = int
AdcId: TypeAlias = int
TimerId: TypeAlias = int
PinArgument: TypeAlias = Pin | PinId

class _Irq:
    def __call__(self) -> None: ...
    def flags(self) -> int: ...
    def trigger(self, trigger: int = ..., /) -> int: ...

@final
class Pin:
    """One pin. Setting it up and every access is a call of the monitor, which knows whose it is."""

    IN: ClassVar[int]
    OUT: ClassVar[int]
    OPEN_DRAIN: ClassVar[int]
    ALT: ClassVar[int]
    PULL_UP: ClassVar[int]
    PULL_DOWN: ClassVar[int]
    IRQ_RISING: ClassVar[int]
    IRQ_FALLING: ClassVar[int]

    def __init__(
        self,
        id: PinId,
        /,
        mode: int = ...,
        pull: int | None = ...,
        *,
        value: object = ...,
        alt: int = ...,
    ) -> None: ...
    def init(
        self, mode: int = ..., pull: int | None = ..., *, value: object = ..., alt: int = ...
    ) -> None: ...
    @overload
    def value(self) -> int: ...
    @overload
    def value(self, value: object, /) -> None: ...
    @overload
    def __call__(self) -> int: ...
    @overload
    def __call__(self, value: object, /) -> None: ...
    def on(self) -> None: ...
    def off(self) -> None: ...
    def high(self) -> None: ...
    def low(self) -> None: ...
    def toggle(self) -> None: ...
    def irq(
        self,
        handler: Callable[[Pin], Any] | None = ...,
        trigger: int = ...,
        hard: bool = ...,
    ) -> _Irq:
        """`handler` runs when the enclave waits, sleeps or idles; a storm of edges is one call."""

class Signal:
    def __init__(self, pin: Pin, /, *, invert: bool = ...) -> None: ...
    @overload
    def value(self) -> int: ...
    @overload
    def value(self, value: object, /) -> None: ...
    def on(self) -> None: ...
    def off(self) -> None: ...

@final
class UART:
    IRQ_RX: ClassVar[int]
    IRQ_RXIDLE: ClassVar[int]

    def __init__(
        self,
        id: UartId,
        /,
        baudrate: int = ...,
        bits: int = ...,
        parity: int | None = ...,
        stop: int = ...,
        *,
        tx: PinArgument | None = ...,
        rx: PinArgument | None = ...,
        timeout: int = ...,
        timeout_char: int = ...,
        rxbuf: int = ...,
    ) -> None: ...
    def init(
        self,
        baudrate: int = ...,
        bits: int = ...,
        parity: int | None = ...,
        stop: int = ...,
        *,
        tx: PinArgument | None = ...,
        rx: PinArgument | None = ...,
        timeout: int = ...,
        timeout_char: int = ...,
        rxbuf: int = ...,
    ) -> None: ...
    def deinit(self) -> None: ...
    def any(self) -> int: ...
    def read(self, nbytes: int = ..., /) -> bytes | None: ...
    def readinto(self, buf: bytearray | memoryview, nbytes: int = ..., /) -> int | None: ...
    def readline(self) -> bytes | None: ...
    def write(self, buf: Buffer, /) -> int | None: ...
    def flush(self) -> None: ...
    def txdone(self) -> bool: ...
    def irq(
        self, handler: Callable[[UART], object] | None = ..., trigger: int = ..., hard: bool = ...
    ) -> _Irq: ...

class _I2C:
    def scan(self) -> list[int]: ...
    def readfrom(self, addr: int, nbytes: int, stop: bool = ..., /) -> bytes: ...
    def readfrom_into(
        self, addr: int, buf: bytearray | memoryview, stop: bool = ..., /
    ) -> None: ...
    def writeto(self, addr: int, buf: Buffer, stop: bool = ..., /) -> int: ...
    def writevto(self, addr: int, vector: Sequence[Buffer], stop: bool = ..., /) -> int: ...
    def readfrom_mem(
        self, addr: int, memaddr: int, nbytes: int, *, addrsize: int = ...
    ) -> bytes: ...
    def readfrom_mem_into(
        self, addr: int, memaddr: int, buf: bytearray | memoryview, *, addrsize: int = ...
    ) -> None: ...
    def writeto_mem(self, addr: int, memaddr: int, buf: Buffer, *, addrsize: int = ...) -> None: ...

@final
class I2C(_I2C):
    def __init__(
        self,
        id: I2cId,
        /,
        freq: int = ...,
        *,
        scl: PinArgument | None = ...,
        sda: PinArgument | None = ...,
        timeout: int = ...,
    ) -> None: ...

@final
class SoftI2C(_I2C):
    def __init__(
        self, scl: PinArgument, sda: PinArgument, *, freq: int = ..., timeout: int = ...
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def readinto(self, buf: bytearray | memoryview, nack: bool = ..., /) -> None: ...
    def write(self, buf: Buffer, /) -> int: ...

class _SPI:
    MSB: ClassVar[int]
    LSB: ClassVar[int]

    def deinit(self) -> None: ...
    def read(self, nbytes: int, write: int = ..., /) -> bytes: ...
    def readinto(self, buf: bytearray | memoryview, write: int = ..., /) -> None: ...
    def write(self, buf: Buffer, /) -> None: ...
    def write_readinto(self, write_buf: Buffer, read_buf: bytearray | memoryview, /) -> None: ...

@final
class SPI(_SPI):
    def __init__(
        self,
        id: SpiId,
        /,
        baudrate: int = ...,
        *,
        polarity: int = ...,
        phase: int = ...,
        bits: int = ...,
        firstbit: int = ...,
        sck: PinArgument | None = ...,
        mosi: PinArgument | None = ...,
        miso: PinArgument | None = ...,
    ) -> None: ...

@final
class SoftSPI(_SPI):
    def __init__(
        self,
        baudrate: int = ...,
        *,
        polarity: int = ...,
        phase: int = ...,
        bits: int = ...,
        firstbit: int = ...,
        sck: PinArgument,
        mosi: PinArgument,
        miso: PinArgument,
    ) -> None: ...

@final
class ADC:
    CORE_TEMP: ClassVar[AdcId]

    def __init__(self, id: AdcId | Pin, /) -> None: ...
    def read_u16(self) -> int: ...

@final
class PWM:
    def __init__(
        self,
        pin: PinArgument,
        /,
        freq: int = ...,
        *,
        duty_u16: int = ...,
        duty_ns: int = ...,
        invert: bool = ...,
    ) -> None: ...
    def init(
        self, freq: int = ..., *, duty_u16: int = ..., duty_ns: int = ..., invert: bool = ...
    ) -> None: ...
    def deinit(self) -> None: ...
    @overload
    def freq(self) -> int: ...
    @overload
    def freq(self, value: int, /) -> None: ...
    @overload
    def duty_u16(self) -> int: ...
    @overload
    def duty_u16(self, value: int, /) -> None: ...
    @overload
    def duty_ns(self) -> int: ...
    @overload
    def duty_ns(self, value: int, /) -> None: ...

@final
class Timer:
    """`Timer(-1)` needs no device. Callbacks run when the enclave waits, sleeps or idles."""

    ONE_SHOT: ClassVar[int]
    PERIODIC: ClassVar[int]

    def __init__(
        self,
        id: TimerId = ...,
        /,
        *,
        mode: int = ...,
        period: int = ...,
        freq: float = ...,
        tick_hz: int = ...,
        callback: Callable[[Timer], object] | None = ...,
    ) -> None: ...
    def init(
        self,
        *,
        mode: int = ...,
        period: int = ...,
        freq: float = ...,
        tick_hz: int = ...,
        callback: Callable[[Timer], object] | None = ...,
    ) -> None: ...
    def deinit(self) -> None: ...

@final
class WDT:
    """Ends the enclave, like a fault, unless it is fed within `timeout` milliseconds."""

    def __init__(self, id: int = ..., timeout: int = ...) -> None: ...
    def feed(self) -> None: ...
    def timeout_ms(self, timeout: int, /) -> None: ...

class _Memory(Protocol):
    def __getitem__(self, address: int, /) -> int: ...
    def __setitem__(self, address: int, value: SupportsInt, /) -> None: ...

mem8: _Memory
mem16: _Memory
mem32: _Memory

def unique_id() -> bytes:
    """Eight bytes that name the board: the beginning of its public identity's digest."""

def idle() -> None: ...
def freq() -> int: ...
def lightsleep(ms: int = ..., /) -> None: ...
def soft_reset() -> None: ...
