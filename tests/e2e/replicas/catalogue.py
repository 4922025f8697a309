# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All scripts. Times are seconds after the start; the controller syncs about every two, and forgets after ten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e.replicas.script import Script, Step
from e2e.replicas.stage import Times
from testbed.api import Json
from testbed.standins.prometheus_script import (
    EMPTY,
    HTML,
    HUGE,
    INF,
    NAN,
    Answer,
    failure,
    late,
    series,
    value,
)

#: The Prometheus of unreliable scripts is down for a while, and all see the controller-manager killed.
TIMES = Times(down=9, up=25, restart=46, end=60)
_AS_VALUE = {"a": {"metricType": "Value"}}
_NULL_IS_ZERO = {"a": {"metadata": {"ignoreNullValues": "true"}}}
_PAUSED = "autoscaling.keda.sh/paused"


def _values(*steps: tuple[float, float]) -> tuple[Step, ...]:
    return tuple(Step(at, {"a": value(number)}) for at, number in steps)


def _behavior(**directions: Json) -> Json:
    return {"advanced": {"horizontalPodAutoscalerConfig": {"behavior": directions}}}


def _rules(window: int, *policies: tuple[str, int, int], **more: Any) -> Json:
    """``policies`` are type, value and period."""
    listed = [{"type": kind, "value": number, "periodSeconds": period} for kind, number, period in policies]
    return {"stabilizationWindowSeconds": window, **({"policies": listed} if listed else {}), **more}


#: Fast both ways, with windows that end between two syncs.
_QUICK = _behavior(scaleUp=_rules(0, ("Pods", 4, 3)), scaleDown=_rules(5, ("Pods", 2, 3)))
_FASTEST = _behavior(scaleUp=_rules(0, ("Percent", 900, 1)), scaleDown=_rules(0, ("Percent", 100, 1)))


def _lost(name: str, answer: Answer, **more: Any) -> Script:
    """Four replicas whose metric is lost, comes back unchanged, and then drops."""
    steps = (*_values((0, 20)), Step(9, {"a": answer}), *_values((25, 20), (31, 11)))
    return Script(name, 3, steps, replicas=4, **{"spec": _FASTEST, **more})


def _fallback(name: str, replicas: int, behavior: str, count: int = 4, **more: Any) -> Script:
    """The metric wants the count that is there; then it fails, more than twice."""
    steps = (*_values((0, 5 * count)), Step(9, {"a": failure(500)}), *_values((27, 5 * count)))
    fallback = {"failureThreshold": 2, "replicas": replicas, "behavior": behavior}
    return Script(
        name, count, steps, replicas=count, spec={**_FASTEST, "maxReplicaCount": 12, "fallback": fallback}, **more
    )


_RATES = (
    Script("rise", 9, _values((0, 5), (6, 22), (14, 48)), replicas=1, spec=_QUICK),
    Script("fall", 3, _values((0, 45), (8, 12)), replicas=9, spec=_QUICK),
    Script("no-behavior", 1, _values((0, 5), (8, 50), (18, 5)), replicas=1),
    Script("empty-behavior", 1, _values((0, 5), (8, 50), (18, 5)), replicas=1, spec=_behavior(scaleUp={})),
    Script(
        "select-min",
        1,
        _values((0, 10), (6, 20), (30, 5)),
        spec=_behavior(
            scaleUp=_rules(0, ("Pods", 1, 5), ("Percent", 100, 5), selectPolicy="Min"),
            scaleDown=_rules(3, ("Pods", 3, 5), ("Percent", 10, 5), selectPolicy="Min"),
        ),
    ),
    Script(
        "disabled-down",
        6,
        _values((0, 20), (8, 5), (20, 30)),
        replicas=4,
        spec=_behavior(scaleUp=_rules(3), scaleDown=_rules(0, selectPolicy="Disabled")),
    ),
    Script("up-window", 4, _values((0, 10), (6, 40), (11, 20)), spec=_behavior(scaleUp=_rules(9), scaleDown=_rules(3))),
    Script(
        "behavior-changed",
        2,
        (
            *_values((0, 45), (8, 10)),
            Step(16, spec=_behavior(scaleUp=_rules(0), scaleDown=_rules(0, ("Pods", 3, 5)))),
        ),
        replicas=9,
        spec=_behavior(scaleUp=_rules(0), scaleDown=_rules(60, ("Pods", 1, 5))),
    ),
    Script(
        "restarted",
        6,
        _values((0, 40), (8, 10)),
        replicas=8,
        spec=_behavior(scaleUp=_rules(0), scaleDown=_rules(0, ("Pods", 1, 300))),
    ),
    Script(
        "bounds-moved",
        7,
        (
            *_values((0, 30)),
            Step(8, spec={"maxReplicaCount": 4}),
            Step(18, spec={"maxReplicaCount": 9, "minReplicaCount": 7}),
        ),
        replicas=6,
        spec=_FASTEST,
    ),
)

_TOLERANCE = (
    Script("edge-within", 4, _values((0, 20), (6, 22), (14, 18), (20, 20)), replicas=4, spec=_FASTEST),
    Script("edge-above", 5, _values((0, 20), (6, 22.001)), replicas=4, spec=_FASTEST),
    Script("edge-below", 3, _values((0, 20), (6, 17.999), (16, 14)), replicas=4, spec=_FASTEST),
    Script(
        "milli",
        5,
        _values((0, 3.4), (6, 3.7400004), (14, 3.7406)),
        replicas=4,
        spec=_FASTEST,
        triggers={"a": {"metadata": {"threshold": "0.85"}}},
    ),
    Script(
        "own-tolerance",
        6,
        _values((0, 20), (6, 25), (14, 25.1), (24, 29.9)),
        replicas=4,
        spec=_behavior(
            scaleUp={**_rules(0), "tolerance": "0.25"}, scaleDown={**_rules(0, ("Percent", 100, 3)), "tolerance": "0"}
        ),
    ),
    Script(
        "as-value",
        1,
        _values((0, 5), (6, 6.3), (16, 5.5), (22, 2)),
        replicas=3,
        spec={**_QUICK, "maxReplicaCount": 6},
        triggers=_AS_VALUE,
    ),
)

_LOST = (
    _lost("nan", NAN),
    _lost("inf", INF),
    _lost("empty", EMPTY),
    _lost("two-series", series(11, 9)),
    _lost("http-401", failure(401)),
    _lost("http-404", failure(404)),
    _lost("http-500", failure(500)),
    _lost("html", HTML),
    _lost("huge", HUGE),
    _lost("slow", late(value(5), 0.8)),
    Script("late", 6, (*_values((0, 20)), Step(6, {"a": late(value(30), 0.2)})), replicas=4, spec=_FASTEST),
    _lost("down", value(20), unreliable=True),
    _lost("nan-is-zero", NAN, triggers=_NULL_IS_ZERO, lowers=True),
    _lost("empty-is-zero", EMPTY, triggers=_NULL_IS_ZERO, lowers=True),
    Script(
        "one-of-two",
        2,
        (
            Step(0, {"a": value(20), "b": value(10)}),
            Step(6, {"b": failure(500)}),
            Step(12, {"a": value(5)}),
            Step(22, {"a": value(30)}),
            Step(30, {"a": value(5)}),
            Step(36, {"b": value(10)}),
        ),
        replicas=4,
        spec=_FASTEST,
        triggers={"a": {}, "b": {}},
    ),
)

_FALLBACK = (
    _fallback("fallback-static", 7, "static"),
    _fallback("fallback-lower", 2, "static", lowers=True),
    _fallback("fallback-within", 11, "static", count=10),
    _fallback("fallback-current", 7, "currentReplicas"),
    _fallback("fallback-if-higher", 2, "currentReplicasIfHigher"),
    _fallback("fallback-if-lower", 7, "currentReplicasIfLower"),
    Script(
        "fallback-value",
        6,
        (*_values((0, 5)), Step(9, {"a": failure(500)}), *_values((27, 5))),
        replicas=4,
        spec={**_FASTEST, "fallback": {"failureThreshold": 2, "replicas": 6}},
        triggers=_AS_VALUE,
    ),
    Script(
        "fallback-modifiers",
        4,
        (
            Step(0, {"a": value(20), "b": value(10)}),
            Step(9, {"a": failure(500)}),
            Step(27, {"a": value(20)}),
        ),
        replicas=4,
        spec={
            "advanced": {
                **_FASTEST["advanced"],
                "scalingModifiers": {"formula": "max(a ?? 35, b)", "target": "5"},
            },
            "fallback": {"failureThreshold": 2, "replicas": 4, "behavior": "scalingModifiers"},
        },
        triggers={"a": {}, "b": {}},
    ),
)

_PODS = (
    Script(
        "unready", 4, _values((0, 5), (6, 6.5), (14, 9), (24, 6.5)), replicas=3, room=3, spec=_QUICK, triggers=_AS_VALUE
    ),
    Script("quota", 4, _values((0, 20), (6, 40), (16, 21)), replicas=3, quota=4, spec=_QUICK),
)

_PAUSES = (
    Script(
        "paused",
        5,
        (
            *_values((0, 40), (4, 25)),
            Step(8, annotations={_PAUSED: "true"}),
            Step(20, annotations={_PAUSED: None}),
        ),
        replicas=8,
        spec=_behavior(scaleUp=_rules(0), scaleDown=_rules(11, ("Pods", 2, 3))),
    ),
    Script(
        "paused-replicas",
        4,
        (
            *_values((0, 20)),
            Step(8, annotations={f"{_PAUSED}-replicas": "6"}),
            Step(20, annotations={f"{_PAUSED}-replicas": None}),
        ),
        replicas=4,
        spec=_QUICK,
    ),
    Script(
        "paused-scale-in",
        1,
        (
            *_values((0, 20)),
            Step(6, annotations={f"{_PAUSED}-scale-in": "true"}),
            *_values((10, 5), (20, 30), (26, 5)),
            Step(34, annotations={f"{_PAUSED}-scale-in": None}),
        ),
        replicas=4,
        spec=_QUICK,
    ),
    Script(
        "paused-scale-out",
        8,
        (
            *_values((0, 20)),
            Step(6, annotations={f"{_PAUSED}-scale-out": "true"}),
            *_values((10, 40), (20, 10), (28, 40)),
            Step(34, annotations={f"{_PAUSED}-scale-out": None}),
        ),
        replicas=4,
        spec=_QUICK,
    ),
)

_FORMULA = (
    Script(
        "formula",
        5,
        (
            Step(0, {"a": value(20), "b": value(4)}),
            Step(8, {"b": value(9)}),
            Step(16, {"a": value(3)}),
        ),
        replicas=4,
        spec={
            "advanced": {
                **_QUICK["advanced"],
                "scalingModifiers": {"formula": "b > 5 ? a + b * 2 : max(a, b)", "target": "5"},
            }
        },
        triggers={"a": {}, "b": {}},
    ),
    Script(
        "formula-negative",
        10,
        _values((0, 50), (8, 29)),
        replicas=4,
        spec={"advanced": {**_QUICK["advanced"], "scalingModifiers": {"formula": "a - 30", "target": "5"}}},
    ),
    Script(
        "formula-lost",
        5,
        (
            Step(0, {"a": value(20), "b": value(4)}),
            Step(8, {"b": EMPTY}),
            Step(20, {"b": value(4)}),
        ),
        replicas=4,
        spec={"advanced": {**_FASTEST["advanced"], "scalingModifiers": {"formula": "(a + b) / 2", "target": "2.5"}}},
        triggers={"a": {}, "b": {}},
    ),
)

_ZERO: Mapping[str, Any] = {"minReplicaCount": 0, "pollingInterval": 1, "cooldownPeriod": 4}
_ACTIVATED = {"a": {"metadata": {"activationThreshold": "3"}}}

_KEDA = (
    Script(
        "activation",
        5,
        _values((0, 0), (6, 3), (12, 3.001), (20, 24)),
        replicas=0,
        spec={**_ZERO, **_QUICK},
        triggers=_ACTIVATED,
    ),
    Script("to-zero", 1, _values((0, 30), (8, 0), (26, 5)), replicas=6, spec={**_ZERO, **_QUICK}),
    Script("woken", 1, _values((0, 40), (6, 0), (9, 5)), replicas=8, spec={**_ZERO, "cooldownPeriod": 1}),
    Script(
        "idle",
        0,
        _values((0, 20), (8, 0), (20, 20), (30, 0)),
        replicas=4,
        spec={**_ZERO, **_QUICK, "cooldownPeriod": 3, "minReplicaCount": 2, "idleReplicaCount": 0},
    ),
    Script(
        "lost-at-one",
        0,
        (*_values((0, 5)), Step(6, {"a": failure(500)}), *_values((16, 0))),
        replicas=1,
        spec={**_ZERO, **_QUICK},
    ),
    Script(
        "fallback-wakes",
        0,
        (*_values((0, 0)), Step(6, {"a": failure(500)}), *_values((24, 0))),
        replicas=0,
        spec={**_ZERO, **_QUICK, "fallback": {"failureThreshold": 2, "replicas": 3}},
    ),
)

SCRIPTS = (*_RATES, *_TOLERANCE, *_LOST, *_FALLBACK, *_PODS, *_PAUSES, *_FORMULA, *_KEDA)
