# SPDX-License-Identifier: Apache-2.0
"""Made programs are run with a message that can be recognised: whatever came out was foreseen."""

from __future__ import annotations

import contextlib
from types import ModuleType
from unittest import mock

from hypothesis import event, given, settings
from hypothesis import strategies as st

from enclaves.taint import Source, trace

SECRET = b"HEARTBEAT"

HEAD = """\
import enclave
diary = enclave.input("diary")
weekly = enclave.gate("weekly")
class Box:
    shared = b""
    def __init__(self, v=b""):
        self.v = v
    def put(self, v):
        self.v = v
        return self
    def take(self):
        return self.v
    def both(self, f, v):
        return f(v), self.v
kept = []
def keep(v):
    kept.append(v)
def last():
    return kept[-1] if kept else b""
def same(v):
    return v
def second(v, w=b"", *rest):
    return rest[0] if rest else w
def deep(v, n=2):
    return deep((v,), n - 1) if n else v
def items(v):
    yield b""
    yield v
def adder(v):
    def add(w):
        nonlocal v
        v = w
        return v
    return add
def hidden():
    global a
    a = diary.receive()
a = b = c = b""
p = [b""]
q = [[]]
m = {"k": b""}
o = Box()
r = Box()
h = same
"""

STATEMENTS = """\
X = diary.receive()
X = Y
X, Y = Y, X
X = (Y, Z)[1]
X = Y if Z else b"1"
X = Y or Z
X = "{}".format(Y)
X = f"{Y}"
X = "%s" % (Y,)
X = [Y] + [Z]
X = (Y,) * 2
X = {Y: 1}
X = str(Y)
X = len(str(Y))
X = bytearray(b"0123456789")
X = memoryview(X)
X[0:9] = Y
X[0] = Y
X += Y
X = list(Y)
X = Y[0]
X = Y[:]
X, *Y = p
p.append(X)
p = q
q = p
q.append([X])
q[0].append(X)
X = q[0][-1]
X = p[-1]
X = p.pop()
p.extend([X, Y])
p.insert(0, X)
p[:] = [X]
p += [X]
p.sort(key=str)
m["k"] = X
X = m["k"]
m.update(k=X)
m.setdefault("n", X)
X = list(m.values())[-1]
X = {**m}["k"]
o.v = X
X = o.v
r = o
X = r.v
o.put(X)
X = r.take()
X = Box(Y).v
Box.shared = X
X = o.shared
X = o.both(same, Y)
X = o.both(r.put, Y)[0].v
setattr(o, "v", X)
X = getattr(o, "v")
X = getattr(o, "".join(["v"]))
X = globals()["a"]
globals()["b"] = X
X = vars(o)["v"]
keep(X)
X = last()
X = same(Y)
X = second(Y, Z)
X = second(w=Y, v=Z)
X = second(*[Y, Z])
X = second(**{"v": Y, "w": Z})
X = second(1, 2, Y)
X = deep(Y)
X = list(items(Y))[1]
for X in items(Y): pass
for X in p: pass
X = adder(Y)(Z)
h = adder(X)
h = last
X = h(Y)
X = (lambda v, w=Y: w)(Z)
X = [v for v in p][-1]
X = {v: w for v, w in m.items()}["k"]
X = max([Y, Z], key=str)
X = sorted([Y, Z], key=str)[0]
X = list(map(same, [Y]))[0]
X = list(zip([Y], [Z]))[0]
X = next(iter([Y]))
X = dict(k=Y)["k"]
X = (Y, [Z])
X = [x for x in [Y] if (Z := x)]
hidden()
try: raise ValueError(X)\\nexcept ValueError as e: Y = e.args[0]
with contextlib_null(X) as Y: pass
weekly.release(X)
""".splitlines()


@st.composite
def programs(draw: st.DrawFn) -> str:
    lines = ["X = diary.receive()", *draw(st.lists(st.sampled_from(STATEMENTS), max_size=14))]
    lines.append("weekly.release(X)")
    text = []
    for line in lines:
        x, y, z = draw(st.permutations(["a", "b", "c"]))
        named = line.replace("X", x).replace("Y", y).replace("Z", z).replace("\\n", "\n")
        text.append(named)
    return "\n".join(text) + "\n"


def run(program: str) -> list[object]:
    """What the program released before it ended."""
    released: list[object] = []
    enclave = ModuleType("enclave")
    diary, weekly = mock.Mock(), mock.Mock()
    diary.receive = lambda: SECRET
    weekly.release = lambda data: released.append(repr(data))
    vars(enclave).update(input=lambda _: diary, gate=lambda _: weekly)
    scope = {"__name__": "main", "contextlib_null": contextlib.nullcontext}
    with mock.patch.dict("sys.modules", enclave=enclave), contextlib.suppress(Exception):
        exec(compile(program, "main", "exec"), scope)  # noqa: S102 - made here, of the lines above
    return released


@settings(max_examples=200, deadline=None)
@given(programs())
def test_whatever_came_out_was_called_raw(body: str) -> None:
    program = HEAD + body
    leaked = any(SECRET.decode() in str(data) for data in run(program))
    raw = any(release.raw for release in trace([Source("main", program)], ("diary",)))
    event(f"leaked {leaked}, raw {raw}")
    assert raw or not leaked, body


def test_each_line_alone_is_sound_for_each_variable() -> None:
    """The short programs, all of them."""
    checked = 0
    for line in STATEMENTS:
        for out in ("a", "b", "c", "p", "m", "o.v", "r.v", "kept", "h(a)"):
            for entry in ("a", "b", "c"):
                named = line.replace("X", "a").replace("Y", "b").replace("Z", "c")
                body = f"{entry} = diary.receive()\n{named}\nweekly.release({out})\n"
                program = HEAD + body.replace("\\n", "\n")
                if any(SECRET.decode() in str(data) for data in run(program)):
                    releases = trace([Source("main", program)], ("diary",))
                    assert any(release.raw for release in releases), body
                    checked += 1
    assert checked > 300
