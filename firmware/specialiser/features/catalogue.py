# SPDX-License-Identifier: Apache-2.0
"""Which part of Python is behind which switch of MicroPython 1.25.0 (`py/mpconfig.h`,
`py/modbuiltins.c`).

Facts only. A name that maps to no switch is always in the virtual machine. The names are
MicroPython's without their prefix `MICROPY_`; `switch()` puts it back. A test holds every one of
them against the pinned sources.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "MICROPY_"


def words(text: str) -> tuple[str, ...]:
    """The words of a text, so that long lists of names stay readable."""
    return tuple(text.split())


FLOAT = "FLOAT_IMPL"
LONGINT = "LONGINT_IMPL"

# Switches with more than two positions, and where "needed" puts them. Single precision is what
# MicroPython's own ports to cores without a double-precision FPU choose; integers are exact at any
# size.
NEEDED: Mapping[str, str] = {
    FLOAT: "MICROPY_FLOAT_IMPL_FLOAT",
    LONGINT: "MICROPY_LONGINT_IMPL_MPZ",
}

# On by default even at MicroPython's smallest feature level: off unless needed.
OFF_UNLESS_NEEDED = (
    "PY_BUILTINS_COMPLEX",
    "PY_ERRNO_ERRORCODE",
    "PY_IO_BYTESIO",
    "PY_JSON_SEPARATORS",
    "PY_MACHINE_MEMX",
    "PY_MACHINE_SIGNAL",
    "PY_SYS_ARGV",
    "PY_SYS_EXIT",
    "PY_SYS_MODULES",
    "PY_SYS_PATH",
    "PY_SYS_PATH_ARGV_DEFAULTS",
    "PY_UCTYPES_NATIVE_C_TYPES",
)

# Builtin names; what they need.
NAMES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        words(
            """
        ArithmeticError AssertionError AttributeError BaseException EOFError Ellipsis
        Exception GeneratorExit ImportError IndentationError IndexError KeyError
        KeyboardInterrupt LookupError MemoryError NameError NotImplementedError OSError
        OverflowError RuntimeError StopIteration SyntaxError SystemExit TypeError
        ValueError ZeroDivisionError __build_class__ __import__ __name__ abs all any bin
        bool bytes callable chr classmethod dict dir divmod getattr globals hasattr hash
        hex id int isinstance issubclass iter len list locals map next object oct ord pow
        print range repr round setattr sorted staticmethod str sum super tuple type zip
        """
        ),
        (),
    ),
    "NotImplemented": ("PY_BUILTINS_NOTIMPLEMENTED",),
    "StopAsyncIteration": ("PY_ASYNC_AWAIT",),
    "UnicodeError": ("PY_BUILTINS_STR_UNICODE",),
    "__file__": ("PY___FILE__",),
    "bytearray": ("PY_BUILTINS_BYTEARRAY",),
    "complex": ("PY_BUILTINS_COMPLEX",),
    "delattr": ("CPYTHON_COMPAT",),
    "enumerate": ("PY_BUILTINS_ENUMERATE",),
    "filter": ("PY_BUILTINS_FILTER",),
    "float": (FLOAT,),
    "frozenset": ("PY_BUILTINS_FROZENSET",),
    "max": ("PY_BUILTINS_MIN_MAX",),
    "memoryview": ("PY_BUILTINS_MEMORYVIEW",),
    "min": ("PY_BUILTINS_MIN_MAX",),
    "property": ("PY_BUILTINS_PROPERTY",),
    "reversed": ("PY_BUILTINS_REVERSED",),
    "set": ("PY_BUILTINS_SET",),
    "slice": ("PY_BUILTINS_SLICE",),
}

# Types whose methods may be called through the type (`str.upper(x)`); used otherwise than by
# calling them, the virtual machine must check `self` and accept keywords it can refuse.
BUILTIN_TYPES = frozenset(
    words(
        """
        bool bytearray bytes complex dict float frozenset int list memoryview object range
        set slice str tuple type
        """
    )
)

# Attribute names; what a builtin object that has such an attribute needs.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "__class__": ("CPYTHON_COMPAT",),
    "__dict__": ("CPYTHON_COMPAT",),
    "__globals__": ("PY_FUNCTION_ATTRS",),
    "__init__": ("CPYTHON_COMPAT",),
    "__name__": ("CPYTHON_COMPAT", "PY_FUNCTION_ATTRS"),
    "__new__": ("CPYTHON_COMPAT",),
    "__setattr__": ("CPYTHON_COMPAT", "PY_DELATTR_SETATTR"),
    "__delattr__": ("CPYTHON_COMPAT", "PY_DELATTR_SETATTR"),
    "_asdict": ("PY_COLLECTIONS_NAMEDTUPLE__ASDICT",),
    "center": ("PY_BUILTINS_STR_CENTER",),
    "count": ("PY_BUILTINS_STR_COUNT",),
    "duty_ns": (LONGINT,),
    "decode": ("CPYTHON_COMPAT", "PY_BUILTINS_STR_UNICODE"),
    "encode": ("CPYTHON_COMPAT",),
    "end": ("PY_RE_MATCH_SPAN_START_END",),
    "from_bytes": (LONGINT,),
    # Without CPYTHON_COMPAT bytes have the methods of str (py/objstr.c, TABLE_ENTRIES_COMPAT).
    "fromhex": ("CPYTHON_COMPAT", "PY_BUILTINS_BYTES_HEX"),
    "fromkeys": ("PY_BUILTINS_DICT_FROMKEYS",),
    "groups": ("PY_RE_MATCH_GROUPS",),
    "hex": ("CPYTHON_COMPAT", "PY_BUILTINS_BYTES_HEX"),
    "indices": ("PY_BUILTINS_SLICE_INDICES",),
    "irq": ("PY_MACHINE_EVENTS",),
    "itemsize": ("PY_BUILTINS_MEMORYVIEW_ITEMSIZE",),
    "partition": ("PY_BUILTINS_STR_PARTITION",),
    "pend_throw": ("PY_GENERATOR_PEND_THROW",),
    "rpartition": ("PY_BUILTINS_STR_PARTITION",),
    "span": ("PY_RE_MATCH_SPAN_START_END",),
    "splitlines": ("PY_BUILTINS_STR_SPLITLINES",),
    "start": (
        "PY_BUILTINS_RANGE_ATTRS",
        "PY_BUILTINS_SLICE_ATTRS",
        "PY_RE_MATCH_SPAN_START_END",
    ),
    "step": ("PY_BUILTINS_RANGE_ATTRS", "PY_BUILTINS_SLICE_ATTRS"),
    "stop": ("PY_BUILTINS_RANGE_ATTRS", "PY_BUILTINS_SLICE_ATTRS"),
    "sub": ("PY_RE_SUB",),
}

_ARITHMETIC = words("mul matmul floordiv truediv mod pow or xor and lshift rshift")

# Special methods a class defines; what must call them (`py/objtype.c`).
METHODS: Mapping[str, tuple[str, ...]] = {
    **{f"__{name}__": ("PY_ALL_SPECIAL_METHODS",) for name in _ARITHMETIC},
    **{f"__{name}__": ("PY_ALL_SPECIAL_METHODS",) for name in words("pos neg invert abs divmod")},
    **{f"__i{name}__": ("PY_ALL_INPLACE_SPECIAL_METHODS",) for name in _ARITHMETIC},
    **{f"__r{name}__": ("PY_REVERSE_SPECIAL_METHODS",) for name in ("add", "sub")},
    **{
        f"__r{name}__": ("PY_ALL_SPECIAL_METHODS", "PY_REVERSE_SPECIAL_METHODS")
        for name in _ARITHMETIC
    },
    "__complex__": ("PY_BUILTINS_COMPLEX",),
    "__del__": ("ENABLE_FINALISER",),
    "__delattr__": ("PY_DELATTR_SETATTR",),
    "__delete__": ("PY_DESCRIPTORS",),
    "__float__": (FLOAT,),
    "__get__": ("PY_DESCRIPTORS",),
    "__set__": ("PY_DESCRIPTORS",),
    "__setattr__": ("PY_DELATTR_SETATTR",),
}

# Switches that syntax and the arguments of calls ask for (`reader.py`, `calls.py`, `operators.py`).
BY_CONSTRUCT = (
    "BUILTIN_METHOD_CHECK_SELF_ARG",
    "CAN_OVERRIDE_BUILTINS",
    "CPYTHON_COMPAT",
    "FULL_CHECKS",
    "MODULE_GETATTR",
    "MULTIPLE_INHERITANCE",
    "PY_ARRAY_SLICE_ASSIGN",
    "PY_ASYNC_AWAIT",
    "PY_BUILTINS_COMPLEX",
    "PY_BUILTINS_NEXT2",
    "PY_BUILTINS_POW3",
    "PY_BUILTINS_RANGE_BINOP",
    "PY_BUILTINS_ROUND_INT",
    "PY_BUILTINS_SET",
    "PY_BUILTINS_SLICE",
    "PY_BUILTINS_STR_OP_MODULO",
    "PY_BUILTINS_STR_UNICODE",
    "PY_ERRNO",
)

# A switch that is of no use, or does not compile, without others.
IMPLIES: Mapping[str, tuple[str, ...]] = {
    "PY_BINASCII_CRC32": ("PY_DEFLATE",),
    # Without it, bytes have the methods of str (py/objstr.c).
    "PY_BUILTINS_BYTES_HEX": ("CPYTHON_COMPAT",),
    "PY_BUILTINS_COMPLEX": (FLOAT,),
    "PY_BUILTINS_FROZENSET": ("PY_BUILTINS_SET",),
    "PY_BUILTINS_SLICE_ATTRS": ("PY_BUILTINS_SLICE",),
    "PY_BUILTINS_SLICE_INDICES": ("PY_BUILTINS_SLICE",),
    "PY_CMATH": ("PY_BUILTINS_COMPLEX",),
    "PY_COLLECTIONS_DEQUE": ("PY_COLLECTIONS",),
    "PY_COLLECTIONS_NAMEDTUPLE__ASDICT": ("PY_COLLECTIONS_ORDEREDDICT",),
    "PY_COLLECTIONS_ORDEREDDICT": ("PY_COLLECTIONS",),
    "PY_DEFLATE": ("PY_IO",),
    "PY_IO_IOBASE": ("PY_BUILTINS_BYTEARRAY",),
    "PY_JSON": ("PY_IO",),
    "PY_MACHINE": ("PY_SYS", "PY_SYS_EXIT"),
    "PY_MACHINE_ADC": ("PY_MACHINE_PIN",),
    "PY_MACHINE_I2C": ("PY_MACHINE_SOFTI2C",),
    "PY_MACHINE_PWM": ("PY_MACHINE_PIN",),
    "PY_MACHINE_SIGNAL": ("PY_MACHINE_PIN",),
    "PY_MACHINE_SOFTI2C": ("PY_MACHINE_PIN",),
    "PY_MACHINE_SOFTSPI": ("PY_MACHINE_PIN",),
    "PY_MACHINE_SPI": ("PY_MACHINE_PIN",),
    "PY_MACHINE_TIMER": ("PY_MACHINE_EVENTS",),
    "PY_MACHINE_UART": ("PY_MACHINE_EVENTS", "PY_MACHINE_PIN", "STREAMS_NON_BLOCK"),
    "PY_MATH": (FLOAT,),
}

# Builtins of MicroPython or CPython that a sealed image does not have, and what to do instead.
_NO_COMPILER = "a sealed image has no compiler: write the code into a module of the appliance"
_NO_FILES = "a sealed image has no file system: keep data in variables, or send it over a channel"
_NO_CONSOLE = "a sealed image has no console: receive data over a channel"
_NOT_MICROPYTHON = "MicroPython does not have it: write it with what docs/manifest.md lists"
REFUSED_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("compile", "eval", "exec", "execfile"), _NO_COMPILER),
    "open": _NO_FILES,
    **dict.fromkeys(("breakpoint", "exit", "help", "input", "quit"), _NO_CONSOLE),
    **dict.fromkeys(
        ("aiter", "anext", "ascii", "copyright", "credits", "license"), _NOT_MICROPYTHON
    ),
    "format": "MicroPython does not have it: use an f-string or str.format",
    "vars": "MicroPython does not have it: name the attributes",
    "__loader__": _NOT_MICROPYTHON,
    "__spec__": _NOT_MICROPYTHON,
    **dict.fromkeys(
        words(
            """
        BlockingIOError BrokenPipeError ChildProcessError ConnectionAbortedError
        ConnectionError ConnectionRefusedError ConnectionResetError EnvironmentError
        FileExistsError FileNotFoundError IOError InterruptedError IsADirectoryError
        NotADirectoryError PermissionError ProcessLookupError TimeoutError
        """
        ),
        "MicroPython does not have it: catch OSError and look at its errno",
    ),
    **dict.fromkeys(
        ("UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError"),
        "MicroPython does not have it: catch UnicodeError",
    ),
    "ModuleNotFoundError": "MicroPython does not have it: catch ImportError",
    "RecursionError": "MicroPython does not have it: catch RuntimeError",
    **dict.fromkeys(
        words(
            """
        BaseExceptionGroup BufferError BytesWarning DeprecationWarning EncodingWarning
        ExceptionGroup FloatingPointError FutureWarning ImportWarning
        PendingDeprecationWarning PythonFinalizationError ReferenceError ResourceWarning
        RuntimeWarning SyntaxWarning SystemError TabError UnboundLocalError UnicodeWarning
        UserWarning Warning
        """
        ),
        _NOT_MICROPYTHON,
    ),
}


def switch(name: str) -> str:
    """The macro of a switch named here."""
    return PREFIX + name
