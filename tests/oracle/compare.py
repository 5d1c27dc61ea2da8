# SPDX-License-Identifier: Apache-2.0
"""Every step of the real monitor beside the same step of the reference model."""

from __future__ import annotations

from dataclasses import dataclass, field

from enclaves.monitor_model import Monitor, Status
from enclaves.monitor_system import Outcome, Pending, Way
from tests.oracle.cases import Case
from tests.oracle.machine import SINK, Observed, Operation, Result
from tests.oracle.operations import PAUSE, RECEIVE, perform

US_PER_MS = 1_000
CLOSE_US = 150
REPORT_KNOWN = 8  # bytes of a report of a fault that are the model's


def differences(case: Case, seen: Observed) -> list[str]:
    """What the monitor did otherwise than the model, in the order in which it happened."""
    return _Comparison(case, seen).run()


@dataclass(slots=True)
class _Comparison:
    case: Case
    seen: Observed
    model: Monitor = field(init=False)
    waiting: dict[str, int] = field(default_factory=dict)  # by task: the operation it waits in
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = Monitor(self.case.system)
        self.model.log.append("boot oracle")

    def run(self) -> list[str]:
        if not self.seen.finished:
            return ["the board reset before the end"]
        for number, operation in enumerate(self.case.operations):
            self._step(number, operation)
            if self.found:
                break
        left = b"".join(self.model.left.get(SINK, []))
        if not self.found and left != self.seen.left:
            self.found.append(f"left by the sink: {self.seen.left.hex()}, model {left.hex()}")
        return self.found

    def _say(self, number: int, what: str) -> None:
        self.found.append(f"step {number}, {self.case.operations[number]}: {what}")

    def _step(self, number: int, operation: Operation) -> None:
        model, step = self.model, self.seen.steps[number]
        enclaves = [task.name for task in self.case.system.tasks if not task.sink]
        finished, logged = len(model.finished), len(model.log) if number else 0
        outcomes: dict[int, Outcome | int] = {}
        if operation.kind == PAUSE:
            self._restarts(number, step.time_us)
        else:
            task, result = enclaves[operation.task], self.seen.results[number]
            began = result.time_us if step.taken else step.time_us - 2 * US_PER_MS
            self._restarts(number, began)
            takes = model.status(task) is Status.READY
            if takes != step.taken:
                self._say(number, f"taken {step.taken}, model {takes} ({model.status(task)})")
                return
            if takes:
                outcome = perform(model, task, number, operation, began)
                if outcome is Pending.WAITS:
                    self.waiting[task] = number
                elif outcome is not Pending.ENDED:
                    outcomes[number] = outcome
            self._restarts(number, step.time_us)
        for task, late in model.finished[finished:]:
            outcomes[self.waiting.pop(task)] = late
        for task in enclaves:
            if model.status(task) is not Status.WAITING:
                self.waiting.pop(task, None)
        self._results(number, outcomes)
        said = sorted(model.log[logged:])
        if sorted(step.log) != said:
            self._say(number, f"log {sorted(step.log)}, model {said}")
        for n, task in enumerate(enclaves):
            counted = (step.lives[n], step.faults[n], step.restarts[n])
            expected = (model.lives[task], *model.counts(task))
            if counted != expected:
                self._say(number, f"{task} lives, faults, restarts {counted}, model {expected}")

    def _restarts(self, number: int, now_us: int) -> None:
        """Back-offs that are over, each at the tick that ended it, as the last tick saw them.

        The phase of the ticks is known to some microseconds; what is closer is as it was seen.
        """
        phase = min(step.time_us % US_PER_MS for step in self.seen.steps)
        last = now_us - (now_us - phase) % US_PER_MS
        enclaves = [task.name for task in self.case.system.tasks if not task.sink]
        waits = self.seen.steps[number].waits
        over: list[tuple[int, int]] = []
        for task, at in self.model.due():
            which = enclaves.index(task)
            close = abs(at - last) < CLOSE_US
            if not waits >> which & 1 if close else at <= last:
                over.append((at + (phase - at) % US_PER_MS, which))
        for tick, which in sorted(over):
            self.model.restart(enclaves[which], min(tick, now_us))

    def _same(self, number: int, result: Result, outcome: Outcome | int) -> bool:
        operation = self.case.operations[number]
        match outcome:
            case bytes():
                length = len(outcome)
                if operation.kind == RECEIVE and self._reports_faults(operation.channel):
                    outcome = outcome[:REPORT_KNOWN]
                return (result.value, result.data[: len(outcome)]) == (length, outcome)
            case frozenset():
                return result.value == sum(1 << n for n in outcome)
            case int():
                return result.value == int(outcome)
        return False

    def _reports_faults(self, number: int) -> bool:
        """Of a report only the reason and the count are the model's, not the addresses."""
        return self.case.system.channels[number].kind is Way.FAULTS

    def _results(self, number: int, outcomes: dict[int, Outcome | int]) -> None:
        for other, result in enumerate(self.seen.results):
            if (result.step == number) != (other in outcomes):
                done = "returned" if result.step == number else "did not return"
                self._say(number, f"the call of step {other} {done}, the model differs")
            elif other in outcomes and not self._same(other, result, outcomes[other]):
                told = f"{result.value} {result.data[: max(0, result.value)].hex()}"
                self._say(
                    number, f"the call of step {other} gave {told}, model {outcomes[other]!r}"
                )
