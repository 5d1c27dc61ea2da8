# SPDX-License-Identifier: Apache-2.0
"""MicroPython's own module, as far as a sealed image has it."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

def const(value: T, /) -> T:
    """`value`, folded into the code that uses it when the bytecode is made."""

def native(function: F, /) -> F:
    """Compile the function to machine code on the host."""

def viper(function: F, /) -> F:
    """Compile the function to machine code with machine integers."""

def heap_lock() -> None:
    """Allocation raises MemoryError until `heap_unlock`."""

def heap_unlock() -> int: ...
def mem_info(verbose: object = ..., /) -> None: ...
