# SPDX-License-Identifier: Apache-2.0
"""`machine.pyi` cut down to what was granted: ids are literals, what an image lacks is not there.

It is made from the board's own stub package where there is one, else from `enclaves/device`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from boards.devices import SHARED_DEVICES
from boards.model import Board
from firmware.planning.devices import DeviceKind, GrantedDevice, device_id
from firmware.specialiser.features.library import ABSENT, LIBRARY

Id = int | str

# The class of each kind of device, and what its first argument is called in our stub.
CLASSES: Mapping[DeviceKind, str] = {
    DeviceKind.PIN: "Pin",
    DeviceKind.UART: "UART",
    DeviceKind.I2C: "I2C",
    DeviceKind.SPI: "SPI",
    DeviceKind.ADC: "ADC",
    DeviceKind.TIMER: "Timer",
}
# What has no id, and stands in the stub only if its device was granted.
WHOLE: Mapping[DeviceKind, str] = {
    DeviceKind.PWM: "PWM",
    DeviceKind.WATCHDOG: "WDT",
    DeviceKind.IDENTITY: "unique_id",
}
_ALIASES = {name: f"{name.capitalize()}Id" for name in CLASSES.values()}
# Where our classes take other arguments than MicroPython's, or give another result than its stubs
# of 1.25.0 say: these are ours in any case.
_OURS = frozenset(("__init__", "init", "irq", "readline"))
_VIRTUAL_TIMER = -1


@dataclass(frozen=True, slots=True)
class Ids:
    """By class of `machine`: what its first argument can be; and of `WHOLE`, what is there."""

    of: Mapping[str, tuple[Id, ...]]
    whole: frozenset[str] = frozenset()

    @classmethod
    def granted(cls, board: Board, rows: Iterable[GrantedDevice]) -> Ids:
        """Those of the devices that were granted."""
        found: dict[str, list[Id]] = {name: [] for name in CLASSES.values()}
        found["Timer"].append(_VIRTUAL_TIMER)
        whole = set()
        for row in rows:
            match row.kind:
                case kind if kind in WHOLE:
                    whole.add(WHOLE[kind])
                case DeviceKind.PIN:
                    found["Pin"] += [row.id, row.name, row.name.upper()]
                case DeviceKind.ADC:
                    found["ADC"] += adc_inputs(board)
                case kind if kind in CLASSES:
                    found[CLASSES[kind]].append(row.id)
        ids = {name: tuple(dict.fromkeys(found[name])) for name in found}
        return cls(ids, frozenset(whole))

    @classmethod
    def all_of(cls, board: Board) -> Ids:
        """Those of everything the board has."""
        pins: list[Id] = []
        for name, number in board.pins.by_name.items():
            pins += [number, name, name.upper()]
        found: dict[str, list[Id]] = {name: [] for name in CLASSES.values()}
        found["Pin"] = pins
        found["Timer"].append(_VIRTUAL_TIMER)
        for name, device in board.device.items():
            kind = DeviceKind[device.kind.upper()]
            if kind is DeviceKind.ADC:
                found["ADC"] += adc_inputs(board)
            elif kind in CLASSES:
                found[CLASSES[kind]].append(device_id(name, device))
        return cls({name: tuple(dict.fromkeys(ids)) for name, ids in found.items()})


def adc_inputs(board: Board) -> list[Id]:
    """Inputs by their number and, above them, by their pin's."""
    inputs: list[Id] = []
    for device in board.device.values():
        if device.kind == "adc":
            pins = device.own_pins
            inputs += [*range(len(pins)), *pins]
            if device.temperature is not None:
                inputs.append(device.temperature)
    return inputs


def device_of(board: Board, class_name: str, wanted: Id) -> str | None:
    """The name in `devices` that would grant an id of this board, None if it has no such thing."""
    if class_name in WHOLE.values():
        return _whole_device(board, class_name)
    if class_name == "Pin":
        for name, number in board.pins.by_name.items():
            if wanted == number or (isinstance(wanted, str) and wanted.lower() == name):
                return name
        return None
    for name, device in board.device.items():
        kind = DeviceKind[device.kind.upper()]
        if CLASSES.get(kind) != class_name:
            continue
        if kind is DeviceKind.ADC and wanted in adc_inputs(board):
            return name
        if kind is not DeviceKind.ADC and wanted == device_id(name, device):
            return name
    return None


def _whole_device(board: Board, member: str) -> str | None:
    kind = next(kind for kind, name in WHOLE.items() if name == member).name.lower()
    shared = (name for name, shared in SHARED_DEVICES.items() if shared == kind)
    own = (name for name, device in board.device.items() if device.kind == kind)
    return next(iter((*own, *shared)), None)


def machine_stub(own: str, package: str | None, ids: Ids | None) -> str:
    """`machine.pyi` with the ids as literals; None: any. Keeps only what an image can have.

    `own` is our stub, `package` the board's, which has the words and the methods where there is
    one; constructors are ours.
    """
    ours = ast.parse(own)
    tree = ast.parse(package) if package is not None else ours
    offered = {name for name, needed in LIBRARY["machine"].members.items() if ABSENT not in needed}
    if ids is not None:
        offered -= set(WHOLE.values()) - ids.whole
    body = [node for node in tree.body if _is_kept(node, offered)]
    if package is not None:
        body += [node for node in ours.body if _is_helper(node)]
        for node in body:
            if isinstance(node, ast.ClassDef):
                node.body = _with_ours(node, _class_of(ours, node.name))
    after_imports = sum(_is_import_or_text(node) for node in body)
    body[after_imports:after_imports] = list(_aliases(ids))
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, []))) + "\n"


def _is_import_or_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _is_kept(node: ast.stmt, offered: set[str]) -> bool:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return name in offered or name.startswith("_")
        case ast.AnnAssign(target=ast.Name(id=name)):
            return name not in _ALIASES.values()
    return True


def _is_helper(node: ast.stmt) -> bool:
    """What our constructors and handlers are written with."""
    match node:
        case ast.ClassDef(name="_Irq") | ast.AnnAssign(target=ast.Name(id="PinArgument")):
            return True
    return False


def _class_of(tree: ast.Module, name: str) -> ast.ClassDef | None:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    return None


def _with_ours(theirs: ast.ClassDef, ours: ast.ClassDef | None) -> list[ast.stmt]:
    """A class of the board's package with the methods in which ours differ."""
    if ours is None or ours is theirs:
        return theirs.body
    mine = [node for node in ours.body if _is_ours(node)]
    replaced = {node.name for node in mine if isinstance(node, ast.FunctionDef)}
    kept = [
        node
        for node in theirs.body
        if not (isinstance(node, ast.FunctionDef) and node.name in replaced) and not _is_ours(node)
    ]
    return [*kept, *mine]


def _is_ours(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef(name=name):
            return name in _OURS
        case ast.AnnAssign(target=ast.Name(id="CORE_TEMP")):
            return True
    return False


def _aliases(ids: Ids | None) -> Iterator[ast.stmt]:
    lines = [
        "from collections.abc import Callable",
        "from typing import Any, ClassVar, TypeAlias, Literal as _Literal, Never as _Never",
    ]
    for class_name, alias in _ALIASES.items():
        if ids is None:
            value = "int | str" if class_name == "Pin" else "int"
        elif ids.of[class_name]:
            value = f"_Literal[{', '.join(map(repr, ids.of[class_name]))}]"
        else:
            value = "_Never"
        lines.append(f"{alias}: TypeAlias = {value}")
    return iter(ast.parse("\n".join(lines)).body)
