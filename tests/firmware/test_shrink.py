# SPDX-License-Identifier: Apache-2.0
"""Unused definitions leave the source and constants become numbers; nothing else changes."""

from __future__ import annotations

import pytest

from firmware.specialiser.shrink import Shrunk, shrink


def shrunk(**texts: str) -> Shrunk:
    return shrink({name: text.encode() for name, text in texts.items()})


def gone(result: Shrunk) -> set[str]:
    return {f"{each.module}.{each.name}" for each in result.removals}


def test_what_nobody_names_goes_and_lines_keep_their_numbers() -> None:
    text = "def used():\n    return 1\n\ndef unused():\n    return 2\n\nprint(used())\n"
    result = shrunk(main=text)
    assert gone(result) == {"main.unused"}
    assert result.texts["main"] == b"def used():\n    return 1\n\n\n\n\nprint(used())\n"
    assert result.removals[0].line == 4


def test_what_only_the_unused_names_goes_too() -> None:
    text = "LIMIT = 'x'\ndef a():\n    return b()\ndef b():\n    return LIMIT\n"
    assert gone(shrunk(main=text)) == {"main.a", "main.b", "main.LIMIT"}


def test_another_module_keeps_what_it_names() -> None:
    library = "def f():\n    return 1\ndef g():\n    return 2\ndef h():\n    return 3\n"
    main = "import library\nfrom library import g\nprint(library.f(), g())\n"
    assert gone(shrunk(main=main, library=library)) == {"library.h"}


@pytest.mark.parametrize(
    "use",
    [
        "print(globals()['unused'])",
        "from library import *",
        "import library; print(getattr(library, 'un' + 'used'))",
        "import sys; print(sys.modules)",
        "import library; print(dir(library))",
    ],
)
def test_a_program_that_looks_at_names_is_left_alone(use: str) -> None:
    library = "def unused():\n    return 1\nN = 5\n"
    result = shrunk(main=f"{use}\n", library=library)
    assert not result.removals
    assert result.compiled["library"] == library.encode()


@pytest.mark.parametrize(
    "text",
    [
        "@keep\ndef unused():\n    pass\ndef keep(f):\n    print(1)\n",
        "def unused(x=print(1)):\n    pass\n",
        "class Unused:\n    print(1)\n",
        "class Unused(print(1) or object):\n    pass\n",
        "unused = print(1)\n",
        "unused = 1; print(2)\n",
        "def unused(): pass\nprint('unused')\n",
        "if True:\n    def unused():\n        pass\n",
        "for unused in range(2):\n    pass\n",
    ],
)
def test_what_does_something_stays(text: str) -> None:
    assert shrunk(main=text).texts["main"] == text.encode()


def test_a_number_with_one_name_becomes_a_constant() -> None:
    text = "N = 5\nM = -7  # why\ndef f(x):\n    return N + M + x\nprint(f(1))\n"
    result = shrunk(main=text)
    assert result.compiled["main"].startswith(b"N = const(5)\nM = const(-7)  # why\n")
    assert result.texts["main"] == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "N = 5\nN = 6\nprint(N)\n",
        "N = 5\ndef f():\n    global N\n    N += 1\nprint(N, f())\n",
        "N = 5\ndef f(N):\n    return N\nprint(f(1), N)\n",
        "N = 5\nprint(dict(N=1), N)\n",
        "N = 5\ndel N\n",
        "N = 1 << 30\nprint(N)\n",
        "N = True\nprint(N)\n",
        "N = 5\ndef const(x):\n    return x + 1\nprint(const(1), N)\n",
        "if len('a'):\n    N = 5\nprint(N)\n",
        "N = 5\nprint([N for N in range(3)], N)\n",
    ],
)
def test_a_name_with_two_meanings_stays_a_name(text: str) -> None:
    assert b"const(5)" not in shrunk(main=text).compiled["main"]
    assert shrunk(main=text).compiled["main"] == text.encode()


def test_a_name_that_is_set_from_outside_stays_a_name() -> None:
    library = "N = 5\ndef f():\n    return N\n"
    main = "import library\nlibrary.N = 6\nprint(library.f())\n"
    assert shrunk(main=main, library=library).compiled["library"] == library.encode()


def test_a_hidden_name_that_others_use_stays_a_name() -> None:
    library = "_N = 5\nprint(_N)\n"
    main = "import library\nprint(library._N)\n"
    assert shrunk(main=main, library=library).compiled["library"] == library.encode()
    assert b"const" in shrunk(main="import library\n", library=library).compiled["library"]
