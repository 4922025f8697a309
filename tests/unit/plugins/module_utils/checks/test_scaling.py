# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Autoscalers that cannot do what they are there for are refused, with the arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.scaling import scaling_findings
from ansible_collections.gpufleet.llm.plugins.module_utils.findings import Finding
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import keda
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet

KV = 'vllm:kv_cache_usage_perc{model_name="llama-70b"}'
RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
GATEWAY = "sum(gateway_requests)"


def trigger(query: str, threshold: str = "5", metric_type: str = "AverageValue", **metadata: str) -> dict[str, Any]:
    """A prometheus trigger that loses nothing."""
    given = {"serverAddress": "http://p", "query": query, "threshold": threshold, "ignoreNullValues": "false"}
    return {"type": "prometheus", "metricType": metric_type, "metadata": {**given, **metadata}}


def found(*triggers: dict[str, Any], args: Any = None, **spec: Any) -> list[Finding]:
    """What is said of a ScaledObject with a changed spec."""
    changed = {**spec, **({"triggers": list(triggers)} if triggers else {})}
    changes = [("models[0].overrides", {"ScaledObject": {"spec": changed}})]
    declared = fleet(*changes, *([("models[0].engine.args", args)] if args is not None else []))
    return scaling_findings(declared, keda.build(declared))


def said(findings: list[Finding]) -> list[str]:
    """Severity and id, and all that a person reads."""
    for finding in findings:
        assert finding.object == "ScaledObject inference/llama-70b"
    return [
        f"{finding.severity.value} {finding.id} {finding.line().partition('llama-70b ')[2]}" for finding in findings
    ]


def behavior(**up: Any) -> dict[str, Any]:
    return {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": up}}}


def test_what_we_make_works() -> None:
    assert found() == []


def test_a_share_divided_by_the_number_of_replicas() -> None:
    assert said(found(trigger(f"max({KV})", "0.85"))) == [
        "error ratio-trigger spec.triggers[0].metadata.query: max() is 1 at most, and 1 / 0.85 asks for 2 replicas"
        " at most,"
        " whatever the size of the fleet; maxReplicaCount is 6. Add up what each replica has, as in"
        " sum(max by (pod) (...)), or use metricType Value with avg(...)."
    ]
    (percent,) = found(trigger(f"max({KV}) * 100", "85"))
    assert percent.message.startswith("the value is 100 at most, and 100 / 85 asks for 2 replicas")
    assert found(trigger(f"max({KV})", "0.16")) == [] == found(trigger(f"avg({KV})", "0.7", "Value"))
    assert said(found(trigger("max(pool_saturation)", "0.7"))) == [
        "warning ratio-trigger spec.triggers[0].metadata.query: max() does not grow with the fleet: if it is a"
        " share of 1,"
        " 1 / 0.7 asks for 2 replicas at most. Add up what each replica has, as in sum(max by (pod) (...)), or use"
        " metricType Value with avg(...)."
    ]
    assert found(trigger("max(queue_length)", "5")) == []


def test_a_query_that_is_not_summed() -> None:
    assert said(found(trigger(RUNNING))) == [
        "error query-not-summed spec.triggers[0].metadata.query: returns a series of each replica, and KEDA takes"
        " one: from"
        " the second replica on it has no value, and the count never falls again. Write sum(...) around it."
    ]
    assert said(found(trigger("model:demand:sum"))) == [
        "warning query-not-summed spec.triggers[0].metadata.query: returns one series only as long as its labels"
        " fit no"
        " second one, and KEDA takes no more. Write sum(...) around it."
    ]
    assert found(trigger("what ? is this")) == [] == found(trigger(RUNNING), minReplicaCount=1, maxReplicaCount=1)


@pytest.mark.parametrize("field", ["minReplicaCount", "idleReplicaCount"])
def test_no_replicas_and_nothing_that_wakes_them(field: str) -> None:
    own = 'model_name="llama-70b"'
    assert said(found(trigger(f"sum({RUNNING}{{{own}}}) + sum({WAITING}{{{own}}})"), **{field: 0})) == [
        f"error no-wake-up spec.{field}: is 0, and its triggers ask only for metrics that replicas have: without a"
        f" replica"
        " there are none, and nothing wakes it. Use 1, or add a trigger on something that exists at 0, such as the"
        " requests at a gateway."
    ]


@pytest.mark.parametrize(
    ("query", "severity"),
    [
        (f'sum({RUNNING}{{namespace="inference",pod=~"llama-70b-[^-]+-[^-]+"}})', "error"),
        (f"sum({RUNNING})", "warning"),
        (f'sum({RUNNING}{{namespace="inference",pod=~"llama-.*"}})', "warning"),
        (f'sum({RUNNING}{{model_name="other"}})', "warning"),
        (f"sum({KV}) + sum({RUNNING})", "warning"),
        (f"sum({KV}) or vector(1)", "warning"),
        (f"absent({KV})", "warning"),
        (f"sum({KV}) + sum(hour())", "warning"),
    ],
)
def test_only_what_is_surely_its_own_keeps_a_model_asleep(query: str, severity: str) -> None:
    (finding,) = found(trigger(query), minReplicaCount=0)
    assert (finding.id, finding.severity.value) == ("no-wake-up", severity)


@pytest.mark.parametrize("other", [trigger(GATEWAY), {"type": "cron", "metadata": {"desiredReplicas": "1"}},
                                   {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "5"}},
                                   trigger("what ? is this")],
                         ids=["gateway", "cron", "cpu", "unread"])  # fmt: skip
def test_a_signal_that_exists_without_replicas(other: dict[str, Any]) -> None:
    assert found(trigger(f"sum({RUNNING})"), other, minReplicaCount=0) == []


def test_a_fallback_that_keda_does_not_have() -> None:
    modifiers = {"scalingModifiers": {"formula": "kv", "target": "0.85"}}
    kv = {**trigger(f"sum(max by (pod) ({KV}))", "0.85"), "name": "kv"}
    assert said(found(kv, advanced={**modifiers})) == [
        "error fallback-off spec.advanced.scalingModifiers.target: is 0.85, and KEDA has a fallback only where it"
        " is a"
        " whole number. Multiply the formula and the target by 100 or 1000."
    ]
    whole = {"scalingModifiers": {"formula": "kv * 100", "target": "85"}}
    assert found(kv, advanced=whole) == []


@pytest.mark.parametrize(
    ("behavior", "replicas", "lines"),
    [
        ("static", 0, ["error loss-lowers spec.fallback.replicas: is 0 with static: without metrics 6 replicas"
                       " become 2."
                       " Set fallback.behavior to currentReplicasIfHigher."]),
        ("currentReplicasIfLower", 4, ["warning loss-lowers spec.fallback.replicas: is 4 with currentReplicasIfLower:"
                                       " without metrics 6 replicas become 4. Set fallback.behavior to"
                                       " currentReplicasIfHigher."]),
        ("static", 6, []),
        ("currentReplicas", 0, []),
        ("currentReplicasIfHigher", 0, []),
    ],
)  # fmt: skip
def test_a_fallback_that_lowers(behavior: str, replicas: int, lines: list[str]) -> None:
    fallback = {"failureThreshold": 3, "replicas": replicas, "behavior": behavior}
    assert said(found(fallback=fallback)) == lines
    # Bounds that are one number leave nothing to lower.
    assert found(fallback=fallback, minReplicaCount=6) == []


def test_an_empty_answer_that_counts_as_no_load() -> None:
    assert said(found(trigger(f"sum({RUNNING})", ignoreNullValues="true"))) == [
        "error loss-lowers spec.triggers[0].metadata.ignoreNullValues: is true: an empty answer is then 0 and no"
        " failure,"
        ' so that no fallback starts, and lost metrics take 6 replicas to 2. Set it to "false".'
    ]
    assert found(trigger(GATEWAY, ignoreNullValues="true")) == []


def test_another_trigger_that_fails_holds_the_count() -> None:
    zero, failing = trigger(f"sum({RUNNING})", ignoreNullValues="true"), trigger(f"sum({RUNNING}) + 1")
    assert said(found(zero, failing)) == [
        "warning loss-lowers spec.triggers[0].metadata.ignoreNullValues: is true: an empty answer is then 0 and no"
        ' failure, so that no fallback starts, and only the other triggers hold the count. Set it to "false".'
    ]


@pytest.mark.parametrize("matching", ["", "on() "])
def test_a_query_that_is_0_where_metrics_are_lost(matching: str) -> None:
    assert said(found(trigger(f"sum({RUNNING}) or {matching}vector(0)"))) == [
        "error loss-lowers spec.triggers[0].metadata.query: ends in vector(0): what is lost is then 0 and no failure,"
        " so that no fallback starts, and lost metrics take 6 replicas to 2. Leave out the vector(0)."
    ]
    assert found(trigger(f"sum({RUNNING}) or {matching}vector(9)")) == []
    assert found(trigger(f"{GATEWAY} or {matching}vector(0)")) == []


@pytest.mark.parametrize(
    ("query", "kind", "each"),
    [(f"avg({KV})", "Value", ""), (f"sum(max by (pod) ({KV}))", "AverageValue", "of each replica ")],
)
def test_a_threshold_within_the_tolerance_of_all_there_can_be(query: str, kind: str, each: str) -> None:
    assert said(found(trigger(query, "0.95", kind))) == [
        f"error threshold-unreachable spec.triggers[0].metadata.threshold: the value {each}is 1 at most, and 1 /"
        f" 0.95 = 1.05"
        " is not above 1.1 (1 and the tolerance): it never asks for more replicas. Set it to 0.909 or less."
    ]
    assert found(trigger(query, "0.909", kind)) == []
    # A smaller tolerance makes it reachable.
    sharp = behavior(tolerance="0.01", policies=[{"type": "Pods", "value": 2, "periodSeconds": 600}])
    assert found(trigger(query, "0.95", kind), advanced=sharp) == []


def test_a_trigger_that_asks_for_little_hinders_no_other() -> None:
    unreachable, ratio = trigger(f"avg({KV})", "0.95", "Value"), trigger(f"max({KV})", "0.85")

    def of(*triggers: dict[str, Any]) -> list[str]:
        return [f"{finding.severity.value} {finding.id}" for finding in found(*triggers)]

    assert of(unreachable, trigger(GATEWAY)) == ["warning threshold-unreachable"]
    assert of(trigger(GATEWAY), ratio) == ["warning ratio-trigger"]
    assert of(unreachable, {"type": "cron", "metadata": {}}) == ["warning threshold-unreachable"]
    assert sorted(of(unreachable, ratio)) == ["error ratio-trigger", "error threshold-unreachable"]


def test_running_requests_are_no_more_than_the_engine_takes() -> None:
    assert said(found(trigger(f"sum({RUNNING})", "20"), args=["--max-num-seqs", "16"])) == [
        "error threshold-unreachable spec.triggers[0].metadata.threshold: the value of each replica is 16 at most,"
        " and"
        " 16 / 20 = 0.80 is not above 1.1 (1 and the tolerance): it never asks for more replicas. Set it to 14.545"
        " or less."
    ]
    ranks = ["--max-num-seqs", "16", "--data-parallel-size", "2"]
    assert found(trigger(f"sum({RUNNING})", "20"), args=ranks) == [] == found(trigger(f"sum({RUNNING})", "20"), args=[])


@pytest.mark.parametrize(
    ("up", "period", "times"),
    [
        ({"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}, 60, 8),
        ({"policies": [{"type": "Pods", "value": 2, "periodSeconds": 600},
                       {"type": "Percent", "value": 100, "periodSeconds": 15}]}, 15, 32),
        ({"policies": [{"type": "Pods", "value": 2, "periodSeconds": 90},
                       {"type": "Percent", "value": 100, "periodSeconds": 15}], "selectPolicy": "Min"}, 90, 6),
    ],
    ids=["one", "the faster one", "the slower one"],
)  # fmt: skip
def test_replicas_that_are_added_again_before_the_last_ones_serve(up: Any, period: int, times: int) -> None:
    assert said(found(advanced=behavior(**up))) == [
        "error scale-up-period spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp: lets replicas be added"
        " every"
        f" {period} s, and a cold start takes 480 s: {times} times, for the same load, before the first of them"
        f" serves."
        " Set periodSeconds to 480 or more."
    ]


def test_a_scale_up_that_is_off_adds_nothing() -> None:
    policies = [{"type": "Pods", "value": 2, "periodSeconds": 60}]
    assert found(advanced=behavior(policies=policies, selectPolicy="Disabled")) == []


def test_fields_that_do_nothing() -> None:
    assert said(found(cooldownPeriod=300, pollingInterval=15)) == [
        "warning no-effect spec.cooldownPeriod: does nothing: it is about the step between 0 and 1, and"
        " minReplicaCount is"
        " 2. Remove it. How fast replicas go is said by scaling.scale_down.",
        "warning no-effect spec.pollingInterval: does nothing: it is about the step between 0 and 1, and"
        " minReplicaCount"
        " is 2. Remove it. The HPA asks every 15 s, unless useCachedMetrics is true.",
    ]
    cached = {**trigger(GATEWAY), "useCachedMetrics": True}
    assert found(cached, pollingInterval=15) == [] == found(trigger(GATEWAY), cooldownPeriod=300, minReplicaCount=0)


def test_a_login_that_keda_ignores() -> None:
    def of(name: str, **metadata: str) -> list[str]:
        return said(found({**trigger(GATEWAY, **metadata), "authenticationRef": {"name": name}}))

    assert of("llama-70b") == [
        "error auth-ignored spec.triggers[0].metadata.authModes: is not set, so that KEDA ignores bearerToken of the"
        " TriggerAuthentication llama-70b. Set it to how KEDA logs in, such as bearer."
    ]
    assert of("theirs") == [
        "warning auth-ignored spec.triggers[0].metadata.authModes: is not set, so that KEDA ignores token, user,"
        " ca, cert"
        " and key of the TriggerAuthentication theirs. Set it to how KEDA logs in, such as bearer, unless it does"
        " so by an"
        " identity only."
    ]
    assert of("llama-70b", authModes="bearer") == []


def test_a_formula_that_only_keda_understands_is_not_refused() -> None:
    demand = {**trigger(GATEWAY), "name": "demand"}

    def of(formula: str, *triggers: dict[str, Any]) -> list[str]:
        return said(found(*triggers, advanced={"scalingModifiers": {"formula": formula, "target": "5"}}))

    place = "formula-unsupported spec.advanced.scalingModifiers.formula: "
    assert of("sum([demand, 1])", demand) == [
        f"warning {place}the function 'sum' is not supported in a formula here (known: abs, ceil, floor, max, min,"
        " round) at character 1. KEDA decides of it: nothing else is checked here."
    ]
    (syntax,) = of("max([demand, 1])", demand)
    assert syntax.startswith(f"warning {place}'[' is not supported")
    (choice,) = of("demand > 1 ? 1 : true", demand)
    assert choice.startswith(f"warning {place}")
    (name,) = of("demnd + 1", demand)
    assert name.startswith("error invalid-input")
    both = of("sum([demand])", {**trigger(GATEWAY, "x"), "name": "demand"})
    assert [line.split()[0] for line in both] == ["error"]


def test_what_keda_would_refuse_is_refused_with_its_place() -> None:
    assert said(found(trigger(GATEWAY, "0"))) == [
        "error invalid-input spec.triggers[0].metadata.threshold: is 0, and must be above 0 with three decimals."
        " Set it to"
        " what one replica can bear."
    ]
    assert [finding.id for finding in found(triggers="none")] == ["invalid-input"]
