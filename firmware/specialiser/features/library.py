# SPDX-License-Identifier: Apache-2.0
"""The modules of MicroPython 1.25.0 that a sealed image can have, and the switch behind each of
their members.

Read from the `*_globals_table` of `py/mod*.c` and `extmod/mod*.c`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware.specialiser.features.catalogue import FLOAT, LONGINT, words

# The word a member that the image never has is marked with.
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class LibraryModule:
    """A builtin module: the switches that bring it, and those that each member needs besides."""

    name: str
    switches: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]]
    source: str  # in MicroPython's tree; empty: ours


def _members(plain: str, **gated: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    return {**dict.fromkeys(words(plain), ()), **gated}


_SPECIAL = ("PY_MATH_SPECIAL_FUNCTIONS",)
_CONSTANTS = ("PY_MATH_CONSTANTS",)
_RANDOM = ("PY_RANDOM_EXTRA_FUNCS",)
_NATIVE = ("PY_UCTYPES_NATIVE_C_TYPES",)
_MEMORY = ("PY_MICROPYTHON_MEM_INFO",)
_HEX = ("PY_BUILTINS_BYTES_HEX",)
_BIG = (LONGINT,)

_MODULES = (
    LibraryModule(
        "enclave",
        ("PY_ENCLAVE",),
        # Time since boot outgrows 30 bits in twelve days.
        _members(
            "Caller Denied Gate Input Output Service account caller debug gate input integrity log "
            "name output secrecy service setting sleep_ms wait",
            next_message=("PY_ASYNCIO", "PY_ASYNC_AWAIT"),
            ticks_ms=_BIG,
        ),
        "",
    ),
    # What asyncio waits by (runtime/vm/vm_asyncio.c).
    LibraryModule("_enclave", ("PY_ASYNCIO",), _members("IOQueue"), ""),
    LibraryModule("_asyncio", ("PY_ASYNCIO",), _members("Task TaskQueue"), "extmod/modasyncio.c"),
    LibraryModule("array", ("PY_ARRAY",), _members("array"), "py/modarray.c"),
    # In Python, taken in with the appliance's modules (firmware/specialiser/asyncio_source.py).
    LibraryModule(
        "asyncio",
        ("PY_ASYNCIO",),
        _members(
            "CancelledError Event Lock Loop SingletonGenerator Task TaskQueue ThreadSafeFlag "
            "TimeoutError core create_task current_task gather get_event_loop new_event_loop run "
            "run_until_complete sleep sleep_ms ticks ticks_add ticks_diff wait_for wait_for_ms",
            **dict.fromkeys(
                words("StreamReader StreamWriter open_connection start_server stream"), (ABSENT,)
            ),
        ),
        "",
    ),
    LibraryModule(
        "binascii",
        ("PY_BINASCII",),
        _members(
            "a2b_base64 b2a_base64",
            crc32=("PY_BINASCII_CRC32", LONGINT),
            hexlify=_HEX,
            unhexlify=_HEX,
        ),
        "extmod/modbinascii.c",
    ),
    LibraryModule("builtins", (), {}, "py/modbuiltins.c"),
    LibraryModule(
        "cmath",
        ("PY_CMATH",),
        _members("cos e exp log phase pi polar rect sin sqrt", log10=_SPECIAL),
        "py/modcmath.c",
    ),
    LibraryModule(
        "collections",
        ("PY_COLLECTIONS",),
        _members(
            "namedtuple",
            OrderedDict=("PY_COLLECTIONS_ORDEREDDICT",),
            # Which deques are iterated or subscripted cannot be seen.
            deque=(
                "PY_COLLECTIONS_DEQUE",
                "PY_COLLECTIONS_DEQUE_ITER",
                "PY_COLLECTIONS_DEQUE_SUBSCR",
            ),
        ),
        "py/modcollections.c",
    ),
    LibraryModule(
        "deflate",
        ("PY_DEFLATE",),
        # Whether a stream is ever written cannot be seen, but nothing can be deflated without it.
        _members("AUTO GZIP RAW ZLIB", DeflateIO=("PY_DEFLATE_COMPRESS",)),
        "extmod/moddeflate.c",
    ),
    LibraryModule(
        "errno",
        ("PY_ERRNO",),
        _members(
            "EACCES EADDRINUSE EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EEXIST"
            " EHOSTUNREACH EINPROGRESS EINVAL EIO EISDIR ENOBUFS ENODEV ENOENT ENOMEM ENOTCONN"
            " EOPNOTSUPP EPERM ETIMEDOUT",
            errorcode=("PY_ERRNO_ERRORCODE",),
        ),
        "py/moderrno.c",
    ),
    LibraryModule(
        "gc",
        ("PY_GC",),
        _members(
            "collect disable enable isenabled mem_alloc mem_free", threshold=("GC_ALLOC_THRESHOLD",)
        ),
        "py/modgc.c",
    ),
    LibraryModule(
        "hashlib",
        ("PY_HASHLIB",),
        _members("sha256", md5=(ABSENT,), sha1=(ABSENT,)),
        "extmod/modhashlib.c",
    ),
    LibraryModule(
        "heapq", ("PY_HEAPQ",), _members("heapify heappop heappush"), "extmod/modheapq.c"
    ),
    LibraryModule(
        "io",
        ("PY_IO",),
        _members(
            "",
            # Streams tell a closed file from an open one only when asked to be as CPython.
            StringIO=("CPYTHON_COMPAT",),
            BytesIO=("PY_IO_BYTESIO", "CPYTHON_COMPAT"),
            BufferedWriter=("PY_IO_BUFFEREDWRITER",),
            IOBase=("PY_IO_IOBASE", "STREAMS_NON_BLOCK"),
            open=(ABSENT,),
        ),
        "py/modio.c",
    ),
    LibraryModule(
        "json",
        ("PY_JSON",),
        # What is read may hold any number and any character.
        _members(
            "",
            dump=("PY_JSON_SEPARATORS",),
            dumps=("PY_JSON_SEPARATORS",),
            load=(FLOAT, LONGINT, "PY_BUILTINS_STR_UNICODE"),
            loads=(FLOAT, LONGINT, "PY_BUILTINS_STR_UNICODE"),
        ),
        "extmod/modjson.c",
    ),
    LibraryModule(
        "machine",
        ("PY_MACHINE",),
        _members(
            "idle soft_reset",
            ADC=("PY_MACHINE_ADC",),
            I2C=("PY_MACHINE_I2C",),
            PWM=("PY_MACHINE_PWM",),
            Pin=("PY_MACHINE_PIN",),
            SPI=("PY_MACHINE_SPI",),
            Signal=("PY_MACHINE_SIGNAL",),
            SoftI2C=("PY_MACHINE_SOFTI2C",),
            SoftSPI=("PY_MACHINE_SOFTSPI",),
            Timer=("PY_MACHINE_TIMER",),
            UART=("PY_MACHINE_UART",),
            WDT=("PY_MACHINE_WDT",),
            freq=("PY_MACHINE_BARE_METAL_FUNCS", LONGINT),
            lightsleep=("PY_MACHINE_BARE_METAL_FUNCS",),
            unique_id=("PY_MACHINE_BARE_METAL_FUNCS",),
            # Addresses and 32-bit registers outgrow a small integer.
            **dict.fromkeys(words("mem8 mem16 mem32"), ("PY_MACHINE_MEMX", LONGINT)),
            **dict.fromkeys(
                words(
                    """
                    ADCBlock DAC I2S PinBase USBDevice bitstream bootloader deepsleep dht_readinto
                    disable_irq enable_irq reset reset_cause time_pulse_us
                    """
                ),
                (ABSENT,),
            ),
        ),
        "extmod/modmachine.c",
    ),
    LibraryModule(
        "math",
        ("PY_MATH",),
        _members(
            "acos asin atan atan2 copysign cos degrees e exp fabs fmod frexp isfinite isinf isnan"
            " ldexp log modf pi pow radians sin sqrt tan",
            ceil=_BIG,
            floor=_BIG,
            trunc=_BIG,
            factorial=("PY_MATH_FACTORIAL", LONGINT),
            isclose=("PY_MATH_ISCLOSE",),
            **dict.fromkeys(("inf", "nan", "tau"), _CONSTANTS),
            **dict.fromkeys(
                (
                    words(
                        """
        acosh asinh atanh cosh erf erfc expm1 gamma lgamma log10 log2 sinh tanh
        """
                    )
                ),
                _SPECIAL,
            ),
        ),
        "py/modmath.c",
    ),
    LibraryModule(
        "micropython",
        ("PY_MICROPYTHON",),
        _members(
            "const heap_lock heap_unlock",
            RingIO=("PY_MICROPYTHON_RINGIO", "PY_IO"),
            alloc_emergency_exception_buf=(ABSENT,),
            heap_locked=("PY_MICROPYTHON_HEAP_LOCKED",),
            kbd_intr=(ABSENT,),
            mem_current=(ABSENT,),
            mem_info=_MEMORY,
            mem_peak=(ABSENT,),
            mem_total=(ABSENT,),
            opt_level=(ABSENT,),
            pystack_use=(ABSENT,),
            qstr_info=_MEMORY,
            schedule=("ENABLE_SCHEDULER",),
            stack_use=("PY_MICROPYTHON_STACK_USE",),
        ),
        "py/modmicropython.c",
    ),
    LibraryModule(
        "random",
        ("PY_RANDOM",),
        _members(
            "seed",
            getrandbits=_BIG,
            choice=_RANDOM,
            randint=_RANDOM,
            randrange=_RANDOM,
            random=(*_RANDOM, FLOAT),
            uniform=(*_RANDOM, FLOAT),
        ),
        "extmod/modrandom.c",
    ),
    LibraryModule(
        "re",
        ("PY_RE",),
        _members("compile match search", DEBUG=(ABSENT,), sub=("PY_RE_SUB",)),
        "extmod/modre.c",
    ),
    LibraryModule(
        "struct",
        ("PY_STRUCT",),
        _members("calcsize pack pack_into unpack unpack_from"),
        "py/modstruct.c",
    ),
    LibraryModule(
        "sys",
        ("PY_SYS",),
        _members(
            "byteorder print_exception version version_info",
            implementation=("PY_ATTRTUPLE",),
            exit=("PY_SYS_EXIT",),
            getsizeof=("PY_SYS_GETSIZEOF",),
            intern=("PY_SYS_INTERN",),
            maxsize=("PY_SYS_MAXSIZE", LONGINT),
            modules=("PY_SYS_MODULES",),
            **dict.fromkeys(
                words(
                    """
        argv atexit exc_info executable path platform ps1 ps2 settrace stderr stdin stdout
        tracebacklimit
        """
                ),
                (ABSENT,),
            ),
        ),
        "py/modsys.c",
    ),
    LibraryModule(
        "time",
        ("PY_TIME",),
        _members(
            "sleep sleep_ms sleep_us ticks_add ticks_cpu ticks_diff ticks_ms ticks_us",
            **dict.fromkeys(words("gmtime localtime mktime time time_ns"), (ABSENT,)),
        ),
        "extmod/modtime.c",
    ),
    LibraryModule(
        "uctypes",
        # Addresses and 32-bit fields outgrow a small integer.
        ("PY_UCTYPES", LONGINT),
        _members(
            "ARRAY BFINT16 BFINT32 BFINT8 BFUINT16 BFUINT32 BFUINT8 BF_LEN BF_POS BIG_ENDIAN INT16"
            " INT32 INT64 INT8 LITTLE_ENDIAN NATIVE PTR UINT16 UINT32 UINT64 UINT8 VOID addressof"
            " bytes_at sizeof struct",
            bytearray_at=("PY_BUILTINS_BYTEARRAY",),
            FLOAT32=(FLOAT,),
            FLOAT64=(FLOAT,),
            **dict.fromkeys(words("INT LONG LONGLONG SHORT UINT ULONG ULONGLONG USHORT"), _NATIVE),
        ),
        "extmod/moductypes.c",
    ),
)

LIBRARY: Mapping[str, LibraryModule] = {module.name: module for module in _MODULES}

# Modules people look for, and what to do without them.
REFUSED_MODULES: Mapping[str, str] = {
    "asyncio.stream": "an image has no streams to poll: await enclave.next_message",
    "importlib": "a sealed image imports what its appliance.toml lists: write a plain import",
    "os": "a sealed image has no file system and no processes",
    "select": "use enclave.wait",
    "uasyncio": "that was its name once: import asyncio",
    "socket": "a network is a sink of the manifest: send over a channel",
    "_thread": "use an enclave for each task",
    "threading": "use an enclave for each task",
    "typing": "annotations are not evaluated on the board: import it inside `if TYPE_CHECKING:`",
}
