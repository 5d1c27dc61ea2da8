# SPDX-License-Identifier: Apache-2.0
"""A message of 16 bytes there and its reply back, from Python: between two enclaves, and by
MicroPython's own queue (`collections.deque`) within one virtual machine.

One image, booted by boot, under the monitor; the times are its clock's, where an instruction is a
nanosecond.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from benchmarks.measure import Measure
from benchmarks.speed import output_of
from benchmarks.workshop import Workshop

ROUNDS = 10_000

_MANIFEST = """
[appliance]
name = "queues"
version = "1.0.0"
[enclave.asker]
module = "asker.py"
[enclave.answerer]
module = "answerer.py"
[sink.usb]
accepts = []
[[channel]]
from = "asker"
to = "answerer"
kind = "call"
size = 16
reply_size = 16
[[channel]]
from = "asker"
to = "usb"
size = 20
"""
_ANSWERER = """# mypy: ignore-errors
import enclave
def answer(request):
    return request
enclave.service("asker").serve(answer)
"""
_ASKER = f"""# mypy: ignore-errors
import enclave, struct, time
from collections import deque

requests, replies = deque((), 4), deque((), 4)
other = enclave.caller("answerer")
message = bytes(16)

def answer(request):
    return request

def nothing(data):
    return None

def function(data):
    return answer(data)

def queue(data):
    requests.append(data)
    replies.append(answer(requests.popleft()))
    return replies.popleft()

def serve():
    while True:
        while requests:
            replies.append(answer(requests.popleft()))
        yield

server = serve()

def coroutine(data):
    requests.append(data)
    next(server)
    return replies.popleft()

def call(data):
    return other.call(data)

def took(work):
    before = time.ticks_us()
    for _ in range({ROUNDS}):
        work(message)
    return time.ticks_diff(time.ticks_us(), before)

times = [took(work) for work in (nothing, function, queue, coroutine, call)]
enclave.output("usb").send(struct.pack("<5I", *times))
"""


def queues(workshop: Workshop) -> Iterator[Measure]:
    """A call beside a function, a queue, and a queue with a coroutine at its other end."""
    here = workshop.folder / "queues"
    here.mkdir()
    files = {"appliance.toml": _MANIFEST, "asker.py": _ASKER, "answerer.py": _ANSWERER}
    for name, text in files.items():
        (here / name).write_text(text, encoding="utf-8")
    said = output_of(workshop.build(here), here, length=20)
    nothing, *times = struct.unpack("<5I", said)
    # Each without the loop and the call of what is measured, for one message, in instructions.
    function, queue, coroutine, call = ((us - nothing) * 1000 // ROUNDS for us in times)
    name = "call + reply from Python"
    yield Measure.beside(name, call, "instructions", "a function", function)
    yield Measure.beside(name, call, "instructions", "two queues in one VM", queue)
    yield Measure.beside(name, call, "instructions", "and a coroutine", coroutine)
