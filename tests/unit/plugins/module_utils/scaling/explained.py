# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The situations whose explanations are kept in explained.txt, by title."""

from __future__ import annotations

from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.situations import (
    PAUSED,
    Json,
    behavior,
    given,
    rules,
    scaled_object,
    trigger,
)

KV = trigger("kv-cache", "0.85")
LATENCY = trigger("latency", "1", "Value")
SLOW = behavior(rules(2, 360), rules(1, 300, window=600))
FALLBACK = {"failureThreshold": 3, "replicas": 1, "behavior": "currentReplicasIfHigher"}
SUMMED = scaled_object(
    0,
    triggers=[trigger(), trigger("queue")],
    advanced={"scalingModifiers": {"formula": "demand + queue / 2", "target": "5", "activationTarget": "2"}},
)
NEGATIVE = scaled_object(
    triggers=[trigger(), trigger("queue")], advanced={"scalingModifiers": {"formula": "demand - queue", "target": "5"}}
)
FALLEN = scaled_object(
    triggers=[trigger(), trigger("queue")],
    advanced={"scalingModifiers": {"formula": "demand + queue", "target": "5"}},
    fallback={**FALLBACK, "failureThreshold": 1},
)
DEFAULTS = {"horizontalPodAutoscalerConfig": {"behavior": {}}}

SITUATIONS: dict[str, Json] = {
    "more demand": given(4, 26),
    "less demand, and the window is over": given(4, 12, past=[(4, "6m")]),
    "demand that fits exactly": given(4, 20),
    "one replica is enough": given(1, 4),
    "within the tolerance, above": given(4, 21),
    "within the tolerance, below": given(4, 19),
    "at the edge of the tolerance": given(4, 22),
    "within the tolerance of many": given(20, 104, scaled_object(high=40)),
    "a tolerance of its own": given(
        10, 52, scaled_object(high=20, advanced=behavior(rules(4, 60, tolerance="0.02"), rules(1, 60, tolerance="0.2")))
    ),
    "two metrics, the second decides": given(
        4, {"demand": 12, "kv-cache": 4.9}, scaled_object(triggers=[trigger(), KV])
    ),
    "held by the window": given(6, 18, past=[(6, "2m")]),
    "held by a window of its own": given(6, 18, scaled_object(advanced=SLOW), past=[(6, "8m")]),
    "falls to an older and lower recommendation first": given(8, 10, past=[(8, "9m"), (5, "4m30s"), (4, "1m")]),
    "a window for the way up": given(
        3, 30, scaled_object(advanced=behavior(rules(4, 60, window=120), rules(1, 60))), past=[(3, "45s")]
    ),
    "a rate that was used in part": given(
        4, 40, scaled_object(advanced=SLOW), events=[{"change": 1, "age": "3m"}, {"change": 2, "age": "7m"}]
    ),
    "a rate on the way down": given(6, 5, scaled_object(advanced=SLOW), past=[(1, "5m"), (6, "11m")]),
    "a rate on the way down that was used": given(
        5, 5, scaled_object(advanced=SLOW), past=[(1, "1m"), (6, "14m")], events=[{"change": -1, "age": "75s"}]
    ),
    "the default rates": given(2, 60, scaled_object(high=20, advanced=DEFAULTS)),
    "no rates, at most double": given(3, 60, scaled_object(high=20)),
    "the way up switched off": given(
        3, 60, scaled_object(advanced=behavior(rules(4, 60, selectPolicy="Disabled"), rules(1, 60)))
    ),
    "the maximum": given(8, 60),
    "above the maximum": given(11, 60),
    "the minimum": given(3, 0, scaled_object(2), past=[(1, "6m")]),
    "below the minimum": given(1, 0, scaled_object(2)),
    "the only metric is missing": given(4, None),
    "one of two metrics is missing, the other asks for less": given(
        4, {"demand": None, "kv-cache": 1.5}, scaled_object(triggers=[trigger(), KV])
    ),
    "one of two metrics is missing, the other asks for more": given(
        4, {"demand": None, "kv-cache": 5}, scaled_object(triggers=[trigger(), KV])
    ),
    "a query that returns two series": given(4, [3, 4]),
    "a metric that is missing, and a fallback to come": given(
        4, None, scaled_object(fallback={**FALLBACK, "replicas": 6})
    ),
    "an active fallback": given(4, None, scaled_object(fallback={**FALLBACK, "failureThreshold": 0, "replicas": 6})),
    "paused": given(3, 30, scaled_object(annotations={PAUSED: "true"})),
    "paused at a count": given(3, 30, scaled_object(annotations={f"{PAUSED}-replicas": "2"})),
    "the way down paused": given(6, 5, scaled_object(annotations={f"{PAUSED}-scale-in": "true"}), past=[(1, "6m")]),
    "at zero": given(0, 0, scaled_object(0)),
    "at zero below the activation value": given(0, 2, scaled_object(0, triggers=[trigger(activationThreshold="3")])),
    "wakes up": given(0, 23, scaled_object(0)),
    "wakes up at the minimum": given(0, 23, scaled_object(3, idleReplicaCount=0)),
    "woken by an annotation": given(
        0, 0, scaled_object(0, annotations={"autoscaling.keda.sh/force-activation": "true"})
    ),
    "waits before it goes to zero": given(2, 0, scaled_object(0), last_active="2m"),
    "goes to zero": given(2, 0, scaled_object(0), last_active="6m"),
    "goes to the idle count": given(3, 0, scaled_object(2, idleReplicaCount=0), last_active="6m"),
    "a value against its target": given(4, {"latency": 1.3}, scaled_object(triggers=[LATENCY])),
    "a value while replicas still load": given(
        4, {"latency": 1.3}, scaled_object(triggers=[LATENCY]), ready=2, past=[(3, "6m")]
    ),
    "a value while no pod exists": given(4, {"latency": 1.3}, scaled_object(triggers=[LATENCY]), status_replicas=0),
    "pods that do not come": given(8, 26, status_replicas=5, past=[(8, "6m")]),
    "a formula over two metrics": given(4, {"demand": 21, "queue": 12}, SUMMED),
    "a formula that goes below zero": given(2, {"demand": 3, "queue": 12}, NEGATIVE),
    "a formula that lacks a metric": given(4, {"demand": None, "queue": 12}, SUMMED),
    "a formula in fallback": given(4, {"demand": None, "queue": 12}, FALLEN),
    "a formula below its activation target": given(0, {"demand": 1, "queue": 1}, SUMMED),
    "nothing is known of the past": {**given(6, 18), "recommendations": []},
}
