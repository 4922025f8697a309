# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can a ScaledObject ever do what it is there for? What cannot is refused, with the arithmetic that says so.

Rules of KEDA v2.20.2 and of the HPA of Kubernetes 1.35. An error is certain; what only may be wrong is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any, Optional

from ..errors import InvalidInput
from ..findings import Finding, Severity
from ..fleet.types import Fleet, LlmModel, PrometheusLabels
from ..readiness.state import title
from ..scaling.hpa.defaults import DEFAULT
from ..scaling.hpa.types import Controller, SelectPolicy, TargetType
from ..scaling.keda.parse import parse_scaled_object
from ..scaling.keda.types import FallbackBehavior, ScaledObject, Trigger
from ..scaling.promql import Aggregation, Node, Selector, read, selectors
from ..scaling.queries import pods_pattern
from ..scaling.series import Count, count, is_from_nothing, is_of_replica, is_zero_without, peak
from ..serving.arguments import number_of

#: Shares of one by their definition (vllm/v1/metrics/loggers.py; the second one until vLLM 0.12).
_SHARES = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
_RUNNING = "vllm:num_requests_running"


@dataclass(frozen=True)
class _Case:
    """A ScaledObject as it is written and as it is understood, with the model that it scales."""

    model: LlmModel
    obj: Mapping[str, Any]
    scaled: ScaledObject
    labels: PrometheusLabels
    logins: Mapping[str, frozenset[str]]

    def finding(self, finding_id: str, field: str, message: str, fix: str, error: bool = True) -> Finding:
        severity = Severity.ERROR if error else Severity.WARNING
        return Finding(finding_id, severity, message, title(self.obj), field, fix)

    @property
    def queries(self) -> Iterator[tuple[Trigger, str, Optional[Node]]]:
        """Prometheus triggers with their place and their query, None where it is not understood."""
        for trigger in self.scaled.triggers:
            if trigger.query is not None:
                yield trigger, f"spec.triggers[{trigger.index}].metadata", read(trigger.query)

    @property
    def tolerance(self) -> float:
        """What a ratio may be above 1 without asking for more."""
        own = self.scaled.behavior.up.tolerance if self.scaled.behavior else None
        return Controller().tolerance if own is None else own


def scaling_findings(fleet: Fleet, objects: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What keeps ScaledObjects from working. ``objects`` are those of the role keda, made from ``fleet``."""
    prometheus = fleet.cluster.prometheus
    models = {(model.namespace, model.name): model for model in fleet.models}
    findings: list[Finding] = []
    for obj in (obj for obj in objects if obj["kind"] == "ScaledObject"):
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        try:
            scaled = parse_scaled_object(*_of_prometheus(obj))
        except InvalidInput as error:
            findings += map(_lowered, error.findings)
            continue
        labels = prometheus.labels if prometheus else PrometheusLabels()
        case = _Case(models[key], obj, scaled, labels, _logins(objects, key[0]))
        findings += [finding for check in _CHECKS for finding in check(case)]
    return findings


def _lowered(finding: Finding) -> Finding:
    """What only is not understood here is no reason to refuse what KEDA may take."""
    if finding.id != "formula-unsupported":
        return finding
    return replace(finding, severity=Severity.WARNING, fix="KEDA decides of it: nothing else is checked here.")


def _of_prometheus(obj: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The object with all triggers but prometheus's as if they were of one type, and an HPA that has their metrics.

    Nothing is known of the others here, so that nothing is refused of them.
    """
    triggers = obj["spec"].get("triggers")
    if not isinstance(triggers, list) or not all(isinstance(entry, Mapping) for entry in triggers):
        return dict(obj), {}
    kept = [entry if entry.get("type") == "prometheus" else _other(entry) for entry in triggers]
    target = {"type": TargetType.AVERAGE_VALUE.value, "averageValue": "1"}
    metrics = [{"external": {"metric": {"name": f"s{index}-other"}, "target": target}} for index in range(len(kept))]
    return {**obj, "spec": {**obj["spec"], "triggers": kept}}, {"spec": {"metrics": metrics}}


def _other(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "other", **({"name": entry["name"]} if "name" in entry else {})}


def _logins(objects: Sequence[Mapping[str, Any]], namespace: str) -> dict[str, frozenset[str]]:
    """Parameters of the TriggerAuthentications of a namespace."""
    found = (
        obj for obj in objects if (obj["kind"], obj["metadata"]["namespace"]) == ("TriggerAuthentication", namespace)
    )
    return {
        obj["metadata"]["name"]: frozenset(
            entry.get("parameter", "")
            for entries in obj["spec"].values()
            if isinstance(entries, list)
            for entry in entries
        )
        for obj in found
    }


def _limited(case: _Case) -> Iterator[Finding]:
    """The count follows the largest of what the triggers ask for: one that asks for little hinders no other."""
    found = [*_ratio(case), *_threshold(case)]
    limited = {finding.field.rpartition(".")[0] for finding in found if finding.severity is Severity.ERROR}
    every = len(limited) == len(case.scaled.triggers)
    yield from (found if every else (replace(finding, severity=Severity.WARNING) for finding in found))


def _ratio(case: _Case) -> Iterator[Finding]:
    """AverageValue divides by the number of replicas, and the largest of many shares does not grow with it."""
    for trigger, path, node in case.queries:
        if case.scaled.modifiers or trigger.metric_type is not TargetType.AVERAGE_VALUE or node is None:
            continue
        most = peak(node, _peaks(case.model), case.labels.pod, _has_ranks(case.model))
        name = node.name if isinstance(node, Aggregation) else ""
        what = f"{name}()" if name else "the value"
        fix = "Add up what each replica has, as in sum(max by (pod) (...)), or use metricType Value with avg(...)."
        if most and not most.per_replica:
            asked = ceil(most.value * 1000 / trigger.target)
            if asked < case.scaled.max:
                message = (
                    f"{what} is {most.value:g} at most, and {most.value:g} / {_number(trigger)} asks for {asked}"
                    f" replicas at most, whatever the size of the fleet; maxReplicaCount is {case.scaled.max}"
                )
                yield case.finding("ratio-trigger", f"{path}.query", message, fix)
        elif most is None and name in ("max", "avg", "min") and trigger.target <= 1000:
            message = (
                f"{name}() does not grow with the fleet: if it is a share of 1, 1 / {_number(trigger)} asks for"
                f" {ceil(1000 / trigger.target)} replicas at most"
            )
            yield case.finding("ratio-trigger", f"{path}.query", message, fix, error=False)


def _series(case: _Case) -> Iterator[Finding]:
    for _trigger, path, node in case.queries:
        series = Count.ONE if node is None or case.scaled.max < 2 else count(node, case.labels.pod)
        if series is Count.MANY:
            message = (
                "returns a series of each replica, and KEDA takes one: from the second replica on it has no value, and"
                " the count never falls again"
            )
            yield case.finding("query-not-summed", f"{path}.query", message, "Write sum(...) around it.")
        elif series is Count.UNSURE:
            message = "returns one series only as long as its labels fit no second one, and KEDA takes no more"
            yield case.finding("query-not-summed", f"{path}.query", message, "Write sum(...) around it.", error=False)


def _wake_up(case: _Case) -> Iterator[Finding]:
    scaled = case.scaled
    if scaled.min > 0 and scaled.idle != 0:
        return
    nodes = [node for _trigger, _path, node in case.queries if node]
    found = [selector for node in nodes for selector in selectors(node)]
    known = len(nodes) == len(scaled.triggers)
    if known and found and all(is_of_replica(selector.metric) for selector in found):
        field = "spec.minReplicaCount" if scaled.min == 0 else "spec.idleReplicaCount"
        own = all(_is_own(selector, case) for selector in found) and not any(map(is_from_nothing, nodes))
        message = "is 0, and its triggers ask only for metrics that replicas have: without a replica there are none" + (
            ", and nothing wakes it" if own else ", and nothing wakes it but what others have, or a constant"
        )
        fix = "Use 1, or add a trigger on something that exists at 0, such as the requests at a gateway."
        yield case.finding("no-wake-up", field, message, fix, own)


def _is_own(selector: Selector, case: _Case) -> bool:
    """Whether it surely finds only what this model's own replicas have, or another of the same model."""
    pods = selector.pinned.get(case.labels.namespace), selector.like.get(case.labels.pod)
    named = selector.pinned.get("model_name") == case.model.name
    return named or pods == (case.model.namespace, pods_pattern(case.model))


def _fallback(case: _Case) -> Iterator[Finding]:
    scaled, fallback, path = case.scaled, case.scaled.fallback, "spec.fallback"
    if fallback and scaled.modifiers and not scaled.modifiers.whole:
        message = f"is {scaled.modifiers.number:g}, and KEDA has a fallback only where it is a whole number"
        fix = "Multiply the formula and the target by 100 or 1000."
        yield case.finding("fallback-off", "spec.advanced.scalingModifiers.target", message, fix)
    lowers = fallback and fallback.behavior in (FallbackBehavior.STATIC, FallbackBehavior.IF_LOWER)
    least = max(fallback.replicas, scaled.min) if fallback else 0
    if fallback and lowers and least < scaled.max:
        behavior = fallback.behavior.value
        message = f"is {fallback.replicas} with {behavior}: without metrics {scaled.max} replicas become {least}"
        fix = "Set fallback.behavior to currentReplicasIfHigher."
        error = fallback.replicas <= scaled.min
        yield case.finding("loss-lowers", f"{path}.replicas", message, fix, error)


def _zeros(case: _Case) -> Iterator[Finding]:
    """Triggers for which lost metrics are 0. Another one that fails then holds the count.

    The HPA lowers nothing while a metric is missing (computeReplicasForMetrics, horizontal.go, v1.35).
    """
    scaled = case.scaled
    if not 0 < scaled.min < scaled.max:
        return
    found: list[tuple[str, str, str]] = []
    holding = False
    for trigger, where, node in case.queries:
        if not node or not any(is_of_replica(selector.metric) for selector in selectors(node)):
            continue
        if trigger.ignore_null:
            found.append((f"{where}.ignoreNullValues", "is true: an empty answer is", 'Set it to "false".'))
        elif is_zero_without(node):
            found.append((f"{where}.query", "ends in vector(0): what is lost is", "Leave out the vector(0)."))
        else:
            holding = True
    then = f"and lost metrics take {scaled.max} replicas to {scaled.min}"
    if holding:
        then = "and only the other triggers hold the count"
    for field, what, fix in found:
        message = f"{what} then 0 and no failure, so that no fallback starts, {then}"
        yield case.finding("loss-lowers", field, message, fix, error=not holding)


def _threshold(case: _Case) -> Iterator[Finding]:
    for trigger, path, node in case.queries:
        most = node and peak(node, _peaks(case.model), case.labels.pod, _has_ranks(case.model))
        # A share of all is compared as it is, and what each replica adds divided by their number.
        if case.scaled.modifiers or not most or most.per_replica is (trigger.metric_type is TargetType.VALUE):
            continue
        ratio, limit = most.value * 1000 / trigger.target, 1 + case.tolerance
        if ratio <= limit and case.scaled.max > max(case.scaled.min, 1):
            each = "of each replica " if most.per_replica else ""
            message = (
                f"the value {each}is {most.value:g} at most, and {most.value:g} / {_number(trigger)} = {ratio:.2f} is"
                f" not above {limit:g} (1 and the tolerance): it never asks for more replicas"
            )
            fix = f"Set it to {floor(most.value * 1000 / limit) / 1000:g} or less."
            yield case.finding("threshold-unreachable", f"{path}.threshold", message, fix)


def _scale_up(case: _Case) -> Iterator[Finding]:
    # What holds without a behaviour is as fast.
    behavior, cold_start = case.scaled.behavior or DEFAULT, case.model.lifecycle.cold_start
    up = behavior.up
    if up.select is SelectPolicy.DISABLED or not up.policies:
        return
    fastest = max if up.select is SelectPolicy.MIN else min
    period = fastest(policy.period for policy in up.policies)
    if period < cold_start:
        message = (
            f"lets replicas be added every {period} s, and a cold start takes {cold_start} s:"
            f" {ceil(cold_start / period)} times, for the same load, before the first of them serves"
        )
        fix = f"Set periodSeconds to {cold_start} or more."
        where = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp"
        yield case.finding("scale-up-period", where, message, fix)


def _no_effect(case: _Case) -> Iterator[Finding]:
    spec, scaled = case.obj["spec"], case.scaled
    if scaled.min == 0 or scaled.idle == 0:
        return
    reason = f"does nothing: it is about the step between 0 and 1, and minReplicaCount is {scaled.min}"
    if "cooldownPeriod" in spec:
        fix = "Remove it. How fast replicas go is said by scaling.scale_down."
        yield case.finding("no-effect", "spec.cooldownPeriod", reason, fix, error=False)
    if "pollingInterval" in spec and not any(trigger.cached for trigger in scaled.triggers):
        fix = "Remove it. The HPA asks every 15 s, unless useCachedMetrics is true."
        yield case.finding("no-effect", "spec.pollingInterval", reason, fix, error=False)


def _authentication(case: _Case) -> Iterator[Finding]:
    """KEDA logs in only as authModes says (pkg/scalers/authentication, Config.Disabled), or by its own identity."""
    for index, trigger in enumerate(case.obj["spec"]["triggers"]):
        name = (trigger.get("authenticationRef") or {}).get("name")
        if trigger["type"] != "prometheus" or name is None or "authModes" in trigger["metadata"]:
            continue
        field, known = f"spec.triggers[{index}].metadata.authModes", case.logins.get(name)
        ignored = " and ".join(sorted(known)) if known else "token, user, ca, cert and key"
        message = f"is not set, so that KEDA ignores {ignored} of the TriggerAuthentication {name}"
        fix = "Set it to how KEDA logs in, such as bearer" + (
            "." if known else ", unless it does so by an identity only."
        )
        yield case.finding("auth-ignored", field, message, fix, error=known is not None)


_CHECKS: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _limited, _series, _wake_up, _fallback, _zeros, _scale_up, _no_effect, _authentication,
)  # fmt: skip


def _peaks(model: LlmModel) -> dict[str, float]:
    """The most that single series of a replica have."""
    seqs = number_of(model.engine.args, "--max-num-seqs")
    return {**dict.fromkeys(_SHARES, 1.0), **({} if seqs is None else {_RUNNING: seqs})}


def _has_ranks(model: LlmModel) -> bool:
    return (number_of(model.engine.args, "--data-parallel-size") or 1) > 1


def _number(trigger: Trigger) -> str:
    return f"{trigger.target / 1000:g}"
