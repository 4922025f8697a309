# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random lives of an HPA that aim at edges, and what each step hit.

A step is made from what the engine remembers, so that it can hit the border of a window or of a tolerance exactly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.proposals import band
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.sync import evaluate
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.hpa.types import (
    SECOND,
    Controller,
    Hpa,
    Memory,
    Metric,
    Observation,
    Outcome,
    PodUsage,
    Source,
    TargetType,
    Usage,
)

from oracle.edges import Edges
from oracle.objects import Behaviors, manifest

_LENGTH = 40
_MAX_INT64 = 2**63 - 1
_TARGETS = (1, 7, 333, 850, 1000, 5000, 5000, 12345, 2**40)
_TOLERANCES = (0.1, 0.1, 0.1, 0.0, 0.05, 0.118, 1.0)
#: Counts that somebody else may scale to; twice the last is beyond int32.
_SCALED = (50, 50, 300, 2**31 - 4)
_WINDOWS = (300 * SECOND, 300 * SECOND, 0, 20 * SECOND, 45_500_000_000)


@dataclass
class Step:
    """One sync: the HPA where it is new, what the controller forgets before, and what it sees.

    ``pods`` are ready, running, pending and failed ones. ``values`` are those of each metric: of an external one a
    single value, of a Pods or Resource one those of its running pods; None where it cannot be read.
    """

    after: int
    spec: int
    status: int
    pods: tuple[int, int, int, int]
    values: list[list[int] | None]
    hpa: Hpa | None = None
    written: dict[str, Any] | None = None
    forget: bool = False
    delete: bool = False
    refused: bool = False

    def observation(self, now: int, hpa: Hpa) -> Observation:
        ready, running, pending, _failed = self.pods
        values: list[Usage] = []
        for metric, found in zip(hpa.metrics, self.values, strict=True):
            if found is None:
                values.append(None)
            elif metric.source is Source.EXTERNAL:
                values.append(found[0])
            else:
                values.append(PodUsage(sum(found), len(found), ready + running - len(found), pending))
        return Observation(now, self.spec, self.status, tuple(values), ready, sum(self.pods), not self.refused)

    def line(self) -> dict[str, Any]:
        """The step as the oracle reads it."""
        line: dict[str, Any] = {
            "after": self.after,
            "spec": self.spec,
            "status": self.status,
            "pods": self.pods,
            "values": self.values,
        }
        if self.written is not None:
            line["hpa"] = self.written
        return line | {name: True for name in ("forget", "delete", "refused") if getattr(self, name)}


@dataclass
class Scenario:
    controller: Controller
    steps: list[Step] = field(default_factory=list)

    def line(self) -> dict[str, Any]:
        return {
            "tolerance": self.controller.tolerance,
            "window": self.controller.downscale_window,
            "steps": [step.line() for step in self.steps],
        }


def outcomes(scenario: Scenario) -> list[Outcome]:
    """What the engine decides at every step."""
    memory, now, decided = Memory(), 0, []
    hpa = None
    for step in scenario.steps:
        now += step.after
        hpa = step.hpa or hpa
        assert hpa is not None
        memory = remembered(memory, step)
        decided.append(evaluate(hpa, scenario.controller, memory, step.observation(now, hpa)))
        memory = decided[-1].memory
    return decided


def remembered(memory: Memory, step: Step) -> Memory:
    if step.delete:
        return Memory()
    return Memory(conditions=memory.conditions) if step.forget else memory


class Generator:
    """Scenarios of one seed, and the edges that their steps hit."""

    _hpa: Hpa

    def __init__(self, seed: int, minor: int) -> None:
        self.seed = seed
        self.edges = Edges()
        self._minor = minor
        self._random = random.Random(seed)
        self._behaviors = Behaviors(self._random)

    def scenario(self) -> tuple[Scenario, list[Outcome]]:
        """The scenario, and what the engine decided while it was made."""
        choose = self._random.choice
        self._controller = Controller(self._minor, choose(_TOLERANCES), choose(_WINDOWS))
        self._memory, self._now, self._spec = Memory(), 0, self._random.randrange(choose((8, 8, 8, 300)))
        self._pods, self._values = (0, 0, 0, 0), list[list[int] | None]()
        scenario, decided = Scenario(self._controller), list[Outcome]()
        for number in range(_LENGTH):
            step = self._step(first=number == 0)
            self._now += step.after
            self._memory = remembered(self._memory, step)
            seen = step.observation(self._now, self._hpa)
            outcome = evaluate(self._hpa, self._controller, self._memory, seen)
            self.edges.step(self._hpa, self._controller, self._memory, seen, outcome)
            self.edges.hit[self._behaviors.kind] += 1
            scenario.steps.append(step)
            decided.append(outcome)
            self._memory, self._spec = outcome.memory, outcome.desired
        return scenario, decided

    def _step(self, first: bool) -> Step:
        chance, hit = self._random.random, self.edges.hit
        before = None if first else self._hpa
        if first:
            self._hpa = self._new()
        elif chance() < 0.06:
            self._hpa = self._edited()
        step = Step(15 * SECOND if first else self._pause(), self._spec, 0, self._pods, self._values)
        if self._hpa is not before:
            step.hpa, step.written = self._hpa, manifest(self._hpa, self._behavior)
        if not first and chance() < 0.01:
            step.forget, step.delete = True, chance() < 0.5
            hit["deleted" if step.delete else "restarted"] += 1
        if chance() < 0.05:
            step.spec = self._random.randrange(min(self._hpa.max_replicas, self._random.choice(_SCALED)) + 3)
            hit["scaled by another"] += step.spec != self._spec
        step.status = step.spec if chance() < 0.7 else max(0, step.spec + self._random.randrange(-4, 5))
        step.refused = chance() < 0.04
        if first or chance() < 0.2:
            self._pods = step.pods = self._some_pods(step.spec)
            self._values = []
        if not self._values or chance() < 0.6:
            self._values = step.values = [self._value(metric, step) for metric in self._hpa.metrics]
        return step

    def _pause(self) -> int:
        """Until the next sync: usually a period, often until something remembered is at the border of its window."""
        if self._random.random() < 0.6 or not self._memory.recommendations:
            return 15 * SECOND
        behavior = self._hpa.behavior
        borders = [record.at + self._controller.downscale_window for record in self._memory.recommendations[-9:]]
        if behavior is not None:
            for rules, events in ((behavior.up, self._memory.ups), (behavior.down, self._memory.downs)):
                times = [event.at for event in events[-4:]] + [each.at for each in self._memory.recommendations[-4:]]
                spans = [rules.window or 0, *(policy.period for policy in rules.policies)]
                borders += [at + span * SECOND for at in times for span in spans]
        ahead = [border - self._now for border in borders if self._now < border < self._now + 900 * SECOND]
        if not ahead:
            return self._random.randrange(1, 40 * SECOND)
        return max(1, self._random.choice(ahead) + self._random.choice((0, 0, -1, 1)))

    def _some_pods(self, spec: int) -> tuple[int, int, int, int]:
        pick = self._random.randrange
        if pick(12) == 0:
            return (0, 0, 0, 0)
        ready = min(spec, 8) if pick(2) else pick(5)
        return (ready, pick(3) * pick(2), pick(3) * pick(2), pick(2))

    def _new(self) -> Hpa:
        self._behavior, behavior = self._behaviors.some()
        low = self._random.choice((0, 1, 1, 2, 3))
        metrics = [Metric("m0", self._random.choice(list(TargetType)), self._random.choice(_TARGETS))]
        for number in range(1, self._random.choice((1, 1, 2, 3, 4))):
            source = self._random.choice((Source.EXTERNAL, Source.EXTERNAL, Source.PODS, Source.RESOURCE))
            if source is Source.RESOURCE and any(metric.source is source for metric in metrics):
                source = Source.PODS
            kind = self._random.choice(list(TargetType)) if source is Source.EXTERNAL else TargetType.AVERAGE_VALUE
            metrics.append(Metric(f"m{number}", kind, self._random.choice(_TARGETS), source))
        return Hpa(low, self._high(low), tuple(metrics), behavior)

    def _high(self, low: int) -> int:
        return max(1, low + self._random.choice((0, 1, 3, 8, 15, 15, 30, 30, 200, 2**31 - 1 - low)))

    def _edited(self) -> Hpa:
        what = self._random.randrange(4)
        if what == 0:
            low = self._random.choice((0, 1, 2, 5))
            self.edges.hit["minimum edited"] += low != self._hpa.min_replicas
            return replace(self._hpa, min_replicas=low, max_replicas=max(low, self._hpa.max_replicas))
        if what == 1:
            high = self._high(self._hpa.min_replicas)
            self.edges.hit["maximum edited"] += high != self._hpa.max_replicas
            return replace(self._hpa, max_replicas=high)
        self._behavior, behavior = self._behaviors.some()
        self.edges.hit["behavior edited"] += behavior != self._hpa.behavior
        return replace(self._hpa, behavior=behavior)

    def _value(self, metric: Metric, step: Step) -> list[int] | None:
        if self._random.random() < 0.05:
            return None
        if metric.source is not Source.EXTERNAL:
            running = step.pods[0] + step.pods[1]
            having = running if self._random.random() < 0.6 else self._random.randrange(running + 1)
            base = min(self._near(metric.target, 1), 2**50)
            return [max(0, base + self._random.randrange(-3, 4)) for _ in range(having)]
        pods = step.status if metric.type is TargetType.AVERAGE_VALUE else 1
        return [min(max(self._near(metric.target, pods), -_MAX_INT64), _MAX_INT64)]

    def _near(self, target: int, pods: int) -> int:
        """A value at an edge of the tolerance, a step beside a whole number of pods, or anywhere."""
        pick = self._random.random()
        if pick < 0.3:
            return round(target * max(pods, 1) * self._random.choice(band(self._hpa, self._controller)))
        if pick < 0.6:
            return target * self._random.randrange(2 * min(max(pods, 2), 50)) + self._random.choice((-1, 0, 0, 1))
        if pick < 0.9:
            return self._random.randrange(3 * target * min(max(pods, 1), 50) + 2)
        return self._random.choice((0, 0, 0, -1, -target, -5 * target, target * 2**31, 2**62, _MAX_INT64))
