# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ScaledObject that cannot work is refused, in one line for each thing that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import InvalidInput
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.parse import parse_scaled_object
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.scaling.keda.objects import (
    PROMETHEUS,
    behavior,
    modified,
    scaled,
    spec,
    trigger,
)
from hypothesis import given
from hypothesis import strategies as st


def refused(obj: Any, hpa: Any = None) -> list[str]:
    """What is wrong with it, one line each."""
    with pytest.raises(InvalidInput) as caught:
        parse_scaled_object(obj, hpa)
    return [finding.line() for finding in caught.value.findings]


UP = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp"
THRESHOLD = "spec.triggers[0].metadata.threshold"
WRONG = [
    pytest.param(
        spec(triggers=[trigger(metadata={"query": " "})]),
        "spec.triggers[0].metadata.query: is empty. Write what it asks Prometheus.",
        id="empty query",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": "0"})]),
        f"{THRESHOLD}: is 0, and must be above 0 with three decimals. Set it to what one replica can bear.",
        id="threshold of zero",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": "-2.5"})]),
        f"{THRESHOLD}: is -2.5, and must be above 0 with three decimals. Set it to what one replica can bear.",
        id="negative threshold",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": "0.0004"})]),
        f"{THRESHOLD}: is 0.0004, and must be above 0 with three decimals. Set it to what one replica can bear.",
        id="threshold that rounds to zero",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": "many"})]),
        f'{THRESHOLD}: must be a number in quotes, got \'many\'. For example "5" or "0.85".',
        id="threshold that is no number",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": "1e999"})]),
        f'{THRESHOLD}: must be a number in quotes, got \'1e999\'. For example "5" or "0.85".',
        id="infinite threshold",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": 5})]),
        f'{THRESHOLD}: must be a number in quotes, got 5. For example "5" or "0.85".',
        id="threshold without quotes",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"threshold": None})]),
        f"{THRESHOLD}: is required. Set it to a number in quotes.",
        id="no threshold",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"query": None})]),
        "spec.triggers[0].metadata.query: is required. Set it to a text.",
        id="no query",
    ),
    pytest.param(
        spec(triggers=[trigger(metadata={"ignoreNullValues": "no"})]),
        "spec.triggers[0].metadata.ignoreNullValues: must be the text true or false, got 'no'. Write it in quotes.",
        id="ignoreNullValues",
    ),
    pytest.param(
        spec(triggers=[trigger(metricType="Utilization")]),
        "spec.triggers[0].metricType: must be one of AverageValue, Value, got 'Utilization'. "
        "Known are AverageValue, Value.",
        id="Utilization of an external metric",
    ),
    pytest.param(
        spec(triggers=[trigger(name="a"), trigger(name="a")]),
        "spec.triggers[1].name: 'a' is already used by spec.triggers[0]. Rename one.",
        id="two triggers of one name",
    ),
    pytest.param(spec(triggers=[]), "spec.triggers: is an empty list. Give at least one trigger.", id="no trigger"),
    pytest.param(
        spec(triggers=[{"type": "cpu", "metadata": {"value": "80"}}]),
        "spec.triggers[0].type: is cpu, which the HPA reads from each pod: this is not supported. "
        "Leave that trigger out.",
        id="cpu",
    ),
    pytest.param(
        spec(triggers=[{"type": "cron", "useCachedMetrics": True}]),
        "spec.triggers[0].useCachedMetrics: is not supported by KEDA for cron. Remove it.",
        id="cached cron",
    ),
    pytest.param(
        behavior(scaleUp={"selectPolicy": "max"}),
        f"{UP}.selectPolicy: must be one of Max, Min, Disabled, got 'max'. Did you mean Max?",
        id="unknown selectPolicy",
    ),
    pytest.param(
        behavior(scaleUp={"stabilizationWindowSeconds": 3601}),
        f"{UP}.stabilizationWindowSeconds: must be a whole number, at least 0 and at most 3600, got 3601.",
        id="window",
    ),
    pytest.param(
        behavior(scaleUp={"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}),
        f"{UP}.policies[0].periodSeconds: must be a whole number, at least 1 and at most 1800, got 1801.",
        id="period",
    ),
    pytest.param(
        behavior(scaleUp={"policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}),
        f"{UP}.policies[0].value: must be a whole number, at least 1 and at most 1000000, got 0.",
        id="policy of nothing",
    ),
    pytest.param(
        behavior(scaleUp={"policies": [{"type": "Pods", "value": 2147483647, "periodSeconds": 15}]}),
        f"{UP}.policies[0].value: must be a whole number, at least 1 and at most 1000000, got 2147483647.",
        id="policy that overflows and blocks every change",
    ),
    pytest.param(
        behavior(scaleUp={"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15, "tolerance": "0.2"}]}),
        f"{UP}.policies[0].tolerance: is not a known key. Known are type, value, periodSeconds.",
        id="tolerance in the wrong place",
    ),
    pytest.param(
        spec(minReplicaCount=5, maxReplicaCount=4),
        "spec.minReplicaCount: is 5, above maxReplicaCount 4. Lower the one or raise the other.",
        id="min above max",
    ),
    pytest.param(
        spec(minReplicaCount=101),
        "spec.minReplicaCount: is 101, above maxReplicaCount 100. Lower the one or raise the other.",
        id="min above the default max",
    ),
    pytest.param(
        spec(minReplicaCount=2, idleReplicaCount=2),
        "spec.idleReplicaCount: is 2, not below minReplicaCount 2. Lower the one or raise the other.",
        id="idle as many as min",
    ),
    pytest.param(
        spec(idleReplicaCount=0),
        "spec.idleReplicaCount: is 0, not below minReplicaCount 0. Lower the one or raise the other.",
        id="idle without min",
    ),
    pytest.param(
        spec(minReplicaCount=-1),
        "spec.minReplicaCount: must be a whole number, at least 0 and at most 2147483647, got -1.",
        id="negative min",
    ),
    pytest.param(
        spec(fallback={"failureThreshold": -1, "replicas": 2}),
        "spec.fallback.failureThreshold: must be a whole number, at least 0 and at most 2147483647, got -1.",
        id="negative fallback",
    ),
    pytest.param(
        spec(fallback={"failureThreshold": 3, "replicas": 2, "behavior": "currentReplica"}),
        "spec.fallback.behavior: must be one of static, currentReplicas, currentReplicasIfHigher, "
        "currentReplicasIfLower, scalingModifiers, got 'currentReplica'. Did you mean currentReplicas?",
        id="unknown fallback",
    ),
    pytest.param(
        spec(fallback={"failureThreshold": 3, "replicas": 2, "behavior": "scalingModifiers"}),
        "spec.fallback.behavior: is scalingModifiers, and there is no formula. Write spec.advanced.scalingModifiers.",
        id="fallback to a formula that is not there",
    ),
    pytest.param(
        modified(formula="a + len(b)"),
        "spec.advanced.scalingModifiers.formula: the function 'len' is not supported in a formula here "
        "(known: abs, ceil, floor, max, min, round) at character 5. Correct it.",
        id="unknown function",
    ),
    pytest.param(
        modified(formula="a + c"),
        "spec.advanced.scalingModifiers.formula: 'c' is not the name of a trigger (those with a name: a, b) "
        "at character 5. Correct it.",
        id="unknown trigger",
    ),
    pytest.param(
        modified(target="0.0004"),
        "spec.advanced.scalingModifiers.target: is 0.0004, and must be at least 0.001. Raise it.",
        id="target that is cut to zero",
    ),
    pytest.param(
        modified(target=5),
        'spec.advanced.scalingModifiers.target: must be a number in quotes, got 5. For example "5" or "0.85".',
        id="target without quotes",
    ),
    pytest.param(
        spec(minReplicas=2),
        "spec.minReplicas: is not a known key. Did you mean minReplicaCount?",
        id="unknown key",
    ),
    pytest.param(None, "spec: must be a dictionary, got null.", id="no spec"),
]


@pytest.mark.parametrize(("wanted", "line"), WRONG)
def test_what_cannot_work_is_one_line(wanted: Any, line: str) -> None:
    assert refused({**scaled(), "spec": wanted}) == [f"ScaledObject inference/chat {line}"]


def test_all_that_is_wrong_is_said_together() -> None:
    wanted = behavior(scaleUp={"selectPolicy": "max"}, scaleDown={"stabilizationWindowSeconds": -1})
    wanted.update(cooldownPeriod=-1, triggers=[trigger(metadata={"threshold": "x"}), trigger(metricType="x")])
    assert len(refused(scaled(wanted))) == 5
    together = modified([trigger(metadata={"query": "b"}), trigger(name="b")])
    assert len(refused(scaled({**together, "minReplicaCount": 3, "maxReplicaCount": 2, "idleReplicaCount": 3}))) == 3


@pytest.mark.parametrize(
    ("obj", "line"),
    [
        (None, "kind: is not ScaledObject. Give the whole object, as kubectl get -o yaml shows it."),
        ({"kind": "ScaledJob"}, "kind: is not ScaledObject. Give the whole object, as kubectl get -o yaml shows it."),
        (
            {**scaled(), "metadata": {}},
            "ScaledObject metadata.name: is required. Set it to the name of a Kubernetes object.",
        ),
        (
            {**scaled(), "status": 1},
            "ScaledObject inference/chat status: must be a dictionary of Kubernetes fields, got 1.",
        ),
        (
            scaled(annotations={"a": True}),
            "ScaledObject metadata.annotations.a: must be a text, got True. Write it in quotes.",
        ),
    ],
    ids=["nothing", "another kind", "no name", "a status that is none", "an annotation without quotes"],
)
def test_what_is_no_scaled_object_is_refused(obj: Any, line: str) -> None:
    assert refused(obj) == [line]


KEYS = [*spec(), *trigger(), *PROMETHEUS]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["5", "prometheus", "Max", "a + b", "true"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*spec(), *trigger(), *PROMETHEUS]), inner)
    ),
    max_leaves=8,
)


@given(key=st.sampled_from(["metadata", "spec", "status"]), value=JSON)
def test_whatever_a_part_holds_it_is_read_or_refused(key: str, value: Any) -> None:
    try:
        parse_scaled_object({**scaled(), key: value})
    except InvalidInput as error:
        assert all("\n" not in finding.line() for finding in error.findings)


@given(key=st.sampled_from(["advanced", "fallback", "triggers", "minReplicaCount", "idleReplicaCount"]), value=JSON)
def test_whatever_a_part_of_the_spec_holds_it_is_read_or_refused(key: str, value: Any) -> None:
    try:
        parse_scaled_object(scaled(spec(**{key: value})))
    except InvalidInput as error:
        assert all("\n" not in finding.line() for finding in error.findings)
