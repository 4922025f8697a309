# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster and its Prometheus say of autoscaled workloads, in few calls.

A namespace costs one LIST each of ScaledObjects, HPAs and two kinds of events, a workload one GET of its scale and one
LIST of its pods, a trigger one query of now and one of the time for which the HPA remembers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ._cluster import Cluster
from ._prometheus import instant_query, range_query
from .errors import ClusterError, InvalidInput, QueryRefused
from .findings import Finding, Severity
from .fleet.types import Fleet, LlmModel, Prometheus
from .keda_metadata import hpa_name, same_server
from .objects.meta import Ref
from .scaling.capacity import Capacity, capacity_of, config_query, length_queries
from .scaling.decision import Situation
from .scaling.hpa.types import SECOND, Controller
from .scaling.keda.parse import parse_scaled_object
from .scaling.keda.types import Reading, ScaledObject, Trigger
from .scaling.observed import (
    RESCALED,
    RESIZED,
    Moves,
    Series,
    keda_memory,
    moves_of,
    nanoseconds,
    ready_pods,
    recall,
    syncs,
)
from .serving.sequences import max_num_seqs

_SCALED = ("keda.sh/v1alpha1", "ScaledObject")
_HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
#: Minor versions whose algorithm is known.
_MINORS = range(33, 38)


@dataclass(frozen=True)
class Selection:
    """Which ScaledObjects: one by name, those with labels, or all of a namespace."""

    namespace: str
    name: str = ""
    labels: str = ""


@dataclass(frozen=True)
class Target:
    """One ScaledObject, its situation, and what could not be seen of that."""

    situation: Situation
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Namespace:
    """What one namespace holds, and who decides in it."""

    scaled: Sequence[Mapping[str, Any]]
    hpas: Mapping[str, Mapping[str, Any]]
    rescaled: Sequence[Mapping[str, Any]]
    resized: Sequence[Mapping[str, Any]]
    controller: Controller

    def hpa(self, scaled: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
        """The HPA of a ScaledObject, if there is one."""
        return self.hpas.get(hpa_name(scaled))

    def moves(self, hpa: Mapping[str, Any], scaled: ScaledObject, wanted: int) -> Moves:
        """What its HPA has done to the count, which is ``wanted`` now."""
        by_hpa = _about(self.rescaled, "HorizontalPodAutoscaler", hpa["metadata"]["name"])
        return moves_of(by_hpa, _about(self.resized, scaled.target_kind, scaled.target_name), wanted)


@dataclass(frozen=True)
class Reader:
    """Reads targets as they are at ``now``, in seconds since 1970. Every method raises ClusterError."""

    cluster: Cluster
    prometheus: Prometheus
    now: int

    def targets(self, selection: Selection) -> tuple[list[Target], list[Finding]]:
        """Every target that is selected, and what is wrong with those that nothing can be decided for."""
        namespace = self._namespace(selection)
        problems: list[Finding] = []

        def read(manifest: Mapping[str, Any]) -> Optional[Target]:
            try:
                return self._target(namespace, manifest)
            except InvalidInput as error:
                problems.extend(error.findings)
                return None

        read_all = self.cluster.in_parallel(read, namespace.scaled)
        return [target for target in read_all if target], sorted(problems, key=lambda finding: finding.object)

    def _namespace(self, selection: Selection) -> _Namespace:
        name = selection.namespace
        # Each kind is looked up once, however many ask at once afterwards.
        self.cluster.in_parallel(self.cluster.resources, [_SCALED[0], _HPA[0], "v1", "apps/v1"])
        asked: list[Callable[[], list[dict[str, Any]]]] = [
            lambda: self._scaled(selection),
            lambda: self.cluster.list_objects(*_HPA, name),
            lambda: self.cluster.list_objects("v1", "Event", name, fields=f"reason={RESCALED}"),
            lambda: self.cluster.list_objects("v1", "Event", name, fields=f"reason={RESIZED}"),
        ]
        scaled, hpas, rescaled, resized = self.cluster.in_parallel(lambda ask: ask(), asked)
        by_name = {hpa["metadata"]["name"]: hpa for hpa in hpas}
        return _Namespace(scaled, by_name, rescaled, resized, self._controller())

    def _scaled(self, selection: Selection) -> list[dict[str, Any]]:
        if not self.cluster.serves(*_SCALED):
            raise _missing(
                "ScaledObject", "the cluster does not serve keda.sh/v1alpha1", "Install KEDA.", "missing-api"
            )
        if selection.name:
            ref = Ref(*_SCALED, selection.namespace, selection.name)
            found = self.cluster.get(ref)
            if found is None:
                raise _missing(str(ref), "does not exist", "See kubectl get scaledobjects -A for those that do.")
            return [found]
        found_all = self._labelled(selection)
        if not found_all:
            which = f" with the labels {selection.labels}" if selection.labels else ""
            where = f"Namespace {selection.namespace}"
            raise _missing(
                where, f"has no ScaledObject{which}", "See kubectl get scaledobjects -A for those that exist."
            )
        return found_all

    def _labelled(self, selection: Selection) -> list[dict[str, Any]]:
        """Those of a namespace. Whether a label selector is one, the API server says."""
        try:
            return self.cluster.list_objects(*_SCALED, selection.namespace, selection.labels)
        except ClusterError as error:
            (finding,) = error.findings
            if finding.id != "invalid-input" or not selection.labels:
                raise
            message = f"{selection.labels!r} is refused: {finding.message}"
            fix = "Write it as kubectl get -l takes it."
            raise InvalidInput(
                [replace(finding, message=message, object="", field="label_selector", fix=fix)]
            ) from error

    def _controller(self) -> Controller:
        """Kubernetes says its version, and no flag of its controllers: they are taken to be those that are usual."""
        version = str(self.cluster.request("GET", "/version").body.get("gitVersion", ""))
        found = re.match(r"v1\.(\d+)", version)
        minor = int(found.group(1)) if found else Controller().minor
        return Controller(min(max(minor, _MINORS[0]), _MINORS[-1]))

    def _target(self, namespace: _Namespace, manifest: Mapping[str, Any]) -> Target:
        hpa = namespace.hpa(manifest)
        scaled = parse_scaled_object(manifest, hpa)
        scale, pods = self._scale(manifest, scaled)
        readings, findings = self._readings(scaled)
        wanted, existing = int(scale["spec"].get("replicas") or 0), int(scale["status"].get("replicas") or 0)
        situation = Situation(
            scaled=scaled,
            now=self.now * SECOND,
            spec=wanted,
            status=existing,
            ready=ready_pods(pods),
            pods=len(pods),
            readings=readings,
            controller=namespace.controller,
            keda=keda_memory(manifest),
        )
        if hpa is not None:
            situation = self._remembering(situation, hpa, namespace.moves(hpa, scaled, wanted))
        if not situation.complete:
            findings.append(_incomplete(scaled))
        return Target(situation, tuple(findings))

    def _scale(
        self, manifest: Mapping[str, Any], scaled: ScaledObject
    ) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
        """The scale of the target, and the pods that its selector finds."""
        version = manifest["spec"]["scaleTargetRef"].get("apiVersion") or "apps/v1"
        ref = Ref(version, scaled.target_kind, scaled.namespace, scaled.target_name)
        reply = self.cluster.request("GET", f"{self.cluster.path(ref)}/scale")
        if reply.status == 404:
            message, where = f"{ref} does not exist, or has no scale", scaled.title
            fix, field = "Correct it, or make the workload.", "spec.scaleTargetRef"
            raise InvalidInput([Finding("scale-target-missing", Severity.ERROR, message, where, field, fix)])
        if not reply.ok:
            raise self.cluster.failed(f"scale of {ref}", reply)
        body = {"spec": {}, "status": {}, **reply.body}
        selector = str(body["status"].get("selector") or "")
        pods = self.cluster.list_objects("v1", "Pod", scaled.namespace, selector) if selector else []
        return body, pods

    def _readings(self, scaled: ScaledObject) -> tuple[tuple[Reading, ...], list[Finding]]:
        answers = [self._reading(scaled, trigger) for trigger in scaled.triggers]
        return tuple(reading for reading, _dummy in answers), [
            finding for _dummy, found in answers for finding in found
        ]

    def _reading(self, scaled: ScaledObject, trigger: Trigger) -> tuple[Reading, list[Finding]]:
        """What a trigger's source answers now, and what is wrong with that."""
        where = scaled.title
        if trigger.query is None or not self._answers(trigger):
            why = f"asks another Prometheus ({trigger.server}), which cannot be read here"
            if trigger.query is None:
                why = f"is of type {trigger.type}, whose value cannot be read"
            message, fix = f"trigger {trigger.label} {why}", f"Give one in what_if.values.{trigger.label}."
            return Reading(error=message), [Finding("metric-missing", Severity.WARNING, message, where, fix=fix)]
        try:
            return Reading(tuple(value for _labels, value in instant_query(self.prometheus, trigger.query))), []
        except QueryRefused as error:
            said = error.findings[0].message
            message = f"trigger {trigger.label} has no value: {said}"
            fix = "Correct its query."
            return Reading(error=said), [Finding("metric-missing", Severity.WARNING, message, where, fix=fix)]

    def _answers(self, trigger: Trigger) -> bool:
        """Whether the declared Prometheus is that which KEDA asks for a trigger."""
        return trigger.server is not None and same_server(trigger.server, self.prometheus.in_cluster_url)

    def series(self, scaled: ScaledObject, start: int, end: int, step: int) -> list[Series]:
        """The series of each trigger from ``start`` to ``end``, in seconds; None for one that cannot be asked."""

        def values_of(trigger: Trigger) -> Series:
            if trigger.query is None or not self._answers(trigger):
                return None
            return [values for _labels, values in range_query(self.prometheus, trigger.query, start, end, step)]

        return [values_of(trigger) for trigger in scaled.triggers]

    def capacity(self, fleet: Fleet, model: LlmModel) -> Optional[Capacity]:
        """What one replica of a model can hold; None where Prometheus does not know its KV cache."""
        found = instant_query(self.prometheus, config_query(model, self.prometheus))
        if not found:
            return None
        lengths = [instant_query(self.prometheus, query) for query in length_queries(model, self.prometheus)]
        prompt, generation = (one[0][1] if one else None for one in lengths)
        sequences = min(max_num_seqs(model.engine.args, pool.gpu.value) for pool in fleet.pools_of(model))
        return capacity_of(
            [labels for labels, _dummy in found], prompt, generation, sequences, self.prometheus.labels.pod
        )

    def _remembering(self, situation: Situation, hpa: Mapping[str, Any], moves: Moves) -> Situation:
        """The situation with what the HPA remembers, which began when it was made."""
        made = nanoseconds(hpa["metadata"]["creationTimestamp"]) // SECOND
        times = syncs(situation.scaled, situation.controller, self.now, made)
        try:
            series = self.series(situation.scaled, times.start, self.now, times.step)
        except QueryRefused:
            return replace(situation, complete=False)
        return recall(situation, times, series, moves)


def _about(events: Sequence[Mapping[str, Any]], kind: str, name: str) -> list[Mapping[str, Any]]:
    wanted = {"kind": kind, "name": name}
    return [event for event in events if wanted.items() <= (event.get("involvedObject") or {}).items()]


def _missing(what: str, message: str, fix: str, finding_id: str = "object-missing") -> ClusterError:
    return ClusterError([Finding(finding_id, Severity.ERROR, message, what, fix=fix)])


def _incomplete(scaled: ScaledObject) -> Finding:
    message = "what its HPA remembers could not all be seen, so that a window or a policy may hold the count longer"
    where, fix = scaled.title, "Ask again when Prometheus and events reach back."
    return Finding("memory-incomplete", Severity.INFO, message, where, fix=fix)
