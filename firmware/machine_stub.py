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
from firmware.devices import DeviceKind, GrantedDevice, device_id
from firmware.features.library import ABSENT, LIBRARY

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
# Where a pin's id or object may stand.
_TAKES_PIN = {"PWM": "Pin | PinId", "Signal": "Pin"}
# What MicroPython really returns where the packages say otherwise (1.25.0).
_RETURNS = {
    ("Pin", "irq"): "_Irq",
    ("UART", "irq"): "_Irq",
    ("UART", "readline"): "bytes | None",
}
_IRQ = """
class _Irq:
    def __call__(self) -> None: ...
    def flags(self) -> int: ...
    def trigger(self, trigger: int = ..., /) -> int: ...
"""
_FIRST = frozenset(("id", "pin", "dest", "pin_obj"))
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


def machine_stub(text: str, ids: Ids | None) -> str:
    """The stub `text` with the ids as literals; None: any. Keeps only what an image can have."""
    tree = ast.parse(text)
    offered = {name for name, needed in LIBRARY["machine"].members.items() if ABSENT not in needed}
    if ids is not None:
        offered -= set(WHOLE.values()) - ids.whole
    body = [node for node in tree.body if _is_kept(node, offered)]
    for node in body:
        if isinstance(node, ast.ClassDef):
            narrowed = (_narrow(node.name, item) for item in node.body)
            node.body = [item for item in narrowed if item is not None]
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
            return name in offered or (name.startswith("_") and name != "_Irq")
        case ast.AnnAssign(target=ast.Name(id=name)):
            return name not in _ALIASES.values()
    return True


def _narrow(class_name: str, node: ast.stmt) -> ast.stmt | None:
    """`__init__` with a literal id; an overload of I2C or SPI without an id is not for us."""
    match node:
        case ast.AnnAssign(target=ast.Name(id="CORE_TEMP")) if class_name == "ADC":
            node.annotation = ast.Name("AdcId", ast.Load())
    if not isinstance(node, ast.FunctionDef):
        return node
    if (class_name, node.name) in _RETURNS:
        node.returns = ast.parse(_RETURNS[class_name, node.name], mode="eval").body
    if node.name != "__init__":
        return node
    positional = [*node.args.posonlyargs, *node.args.args][1:]
    if not positional or positional[0].arg not in _FIRST:
        return None if class_name in ("I2C", "SPI") and not positional else node
    if class_name in _TAKES_PIN:
        positional[0].annotation = ast.parse(_TAKES_PIN[class_name], mode="eval").body
    elif class_name == "ADC":
        positional[0].annotation = ast.parse("AdcId | Pin", mode="eval").body
    elif class_name in _ALIASES:
        positional[0].annotation = ast.Name(_ALIASES[class_name], ast.Load())
    return node


def _aliases(ids: Ids | None) -> Iterator[ast.stmt]:
    lines = ["from typing import Literal as _Literal, Never as _Never"]
    for class_name, alias in _ALIASES.items():
        if ids is None:
            value = "int | str" if class_name == "Pin" else "int"
        elif ids.of[class_name]:
            value = f"_Literal[{', '.join(map(repr, ids.of[class_name]))}]"
        else:
            value = "_Never"
        lines.append(f"{alias} = {value}")
    return iter(ast.parse("\n".join(lines) + _IRQ).body)
