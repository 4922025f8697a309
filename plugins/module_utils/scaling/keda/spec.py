# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spec of a ScaledObject as its definition allows it: the shape of each part, and nothing that needs another one.

Fields, defaults and bounds of KEDA v2.20.2 (apis/keda/v1alpha1/scaledobject_types.go, scaletriggers_types.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Optional

from ...fleet.fields import (
    INVALID,
    NAMESPACE,
    OBJECT_NAME,
    Choice,
    FieldType,
    ListOf,
    MapOf,
    Problems,
    Record,
    Text,
    Tree,
    declare,
    integer,
)
from ...keda_metadata import FALSE, TRUE
from ..hpa.defaults import behavior_of
from ..hpa.types import Behavior, TargetType
from ..override import Instant
from .types import FallbackBehavior

_INT32 = 2**31 - 1
#: A number of JSON, as KEDA parses what is no text (pkg/scalers/scalersconfig/typed_config.go).
_JSON = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_TEXT = Text(r"[\s\S]*", "a text", "Write it in quotes.")


class Flag(FieldType):
    """true or false."""

    def describe(self) -> str:
        return "true or false"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        return value if isinstance(value, bool) else self.reject(value, path, problems)


class FlagText(FieldType):
    """true or false as a text, as the metadata of a trigger hold it."""

    def describe(self) -> str:
        return "the text true or false"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if value in TRUE or value in FALSE:
            return value in TRUE
        return self.reject(value, path, problems, "Write it in quotes.")


class NumberText(FieldType):
    """A number as a text, as the metadata of a trigger hold it."""

    def describe(self) -> str:
        return "a number in quotes"

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, str) or not _JSON.fullmatch(value) or abs(float(value)) == float("inf"):
            return self.reject(value, path, problems, 'For example "5" or "0.85".')
        return float(value)


class Target(Text):
    """The target of a formula as it is written: whether it is a whole number counts."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        number = NumberText().parse(value, path, problems)
        return value if isinstance(number, float) else number


class Known(Record):
    """A record of a few keys among others, which are left to Kubernetes and KEDA."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        if isinstance(value, Mapping):
            value = {entry.name: value.get(entry.name) for entry in fields(self.cls)}
        return super().parse(value, path, problems)


class BehaviorField(Tree):
    """The behaviour of the HPA, with defaults."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        return behavior_of(value, problems, path) or INVALID


@dataclass(frozen=True)
class Metadata:
    """metadata, of which KEDA's rules know the name, the age and the annotations."""

    name: str = declare(OBJECT_NAME, "")
    namespace: str = declare(NAMESPACE, "", "default")
    annotations: Mapping[str, str] = declare(MapOf(_TEXT, _TEXT), "", factory=dict)
    creationTimestamp: Optional[datetime] = declare(Instant(), "", None)


@dataclass(frozen=True)
class TargetRef:
    """spec.scaleTargetRef."""

    name: str = declare(OBJECT_NAME, "")
    apiVersion: str = declare(_TEXT, "", "apps/v1")
    kind: str = declare(_TEXT, "", "Deployment")
    envSourceContainerName: str = declare(_TEXT, "", "")


@dataclass(frozen=True)
class FallbackSpec:
    """spec.fallback."""

    failureThreshold: int = declare(integer(0, _INT32), "")
    replicas: int = declare(integer(0, _INT32), "")
    behavior: FallbackBehavior = declare(Choice(FallbackBehavior), "", FallbackBehavior.STATIC)


@dataclass(frozen=True)
class ModifiersSpec:
    """spec.advanced.scalingModifiers."""

    formula: str = declare(_TEXT, "")
    target: str = declare(Target(), "")
    activationTarget: float = declare(NumberText(), "", 0.0)
    metricType: TargetType = declare(Choice(TargetType), "", TargetType.AVERAGE_VALUE)


class ModifiersField(Record):
    """KEDA itself writes an empty one into every ScaledObject that has ``advanced``: that is none."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        return None if value == {} else super().parse(value, path, problems)


@dataclass(frozen=True)
class HpaConfig:
    """spec.advanced.horizontalPodAutoscalerConfig."""

    name: str = declare(_TEXT, "", "")
    behavior: Optional[Behavior] = declare(BehaviorField(), "", None)


@dataclass(frozen=True)
class Advanced:
    """spec.advanced."""

    restoreToOriginalReplicaCount: bool = declare(Flag(), "", False)
    horizontalPodAutoscalerConfig: HpaConfig = declare(Record(HpaConfig), "", HpaConfig())
    scalingModifiers: Optional[ModifiersSpec] = declare(ModifiersField(ModifiersSpec), "", None)


@dataclass(frozen=True)
class PrometheusMetadata:
    """What decides of the metadata of a prometheus trigger (pkg/scalers/prometheus_scaler.go)."""

    serverAddress: str = declare(_TEXT, "")
    query: str = declare(_TEXT, "")
    threshold: float = declare(NumberText(), "")
    activationThreshold: float = declare(NumberText(), "", 0.0)
    ignoreNullValues: bool = declare(FlagText(), "", True)


@dataclass(frozen=True)
class TriggerSpec:
    """An entry of spec.triggers. ``metadata`` is PrometheusMetadata or, for any other type, a dictionary."""

    type: str = declare(_TEXT, "")
    metadata: Any = declare(Tree(), "", factory=dict)
    name: Optional[str] = declare(_TEXT, "", None)
    useCachedMetrics: bool = declare(Flag(), "", False)
    authenticationRef: Mapping[str, Any] = declare(Tree(), "", factory=dict)
    metricType: TargetType = declare(Choice(TargetType), "", TargetType.AVERAGE_VALUE)


class TriggerRecord(Record):
    """A trigger, with what its type reads from its metadata."""

    def parse(self, value: Any, path: str, problems: Problems) -> Any:
        trigger = super().parse(value, path, problems)
        if not isinstance(value, Mapping) or value.get("type") != "prometheus":
            return trigger
        metadata = Known(PrometheusMetadata).parse(value.get("metadata") or {}, f"{path}.metadata", problems)
        return INVALID if INVALID in (trigger, metadata) else replace(trigger, metadata=metadata)


@dataclass(frozen=True)
class Spec:
    """spec."""

    scaleTargetRef: TargetRef = declare(Record(TargetRef), "")
    triggers: tuple[TriggerSpec, ...] = declare(ListOf(TriggerRecord(TriggerSpec), unique="name"), "")
    pollingInterval: int = declare(integer(1, _INT32), "", 30)
    initialCooldownPeriod: int = declare(integer(0, _INT32), "", 0)
    cooldownPeriod: int = declare(integer(0, _INT32), "", 300)
    idleReplicaCount: Optional[int] = declare(integer(0, _INT32), "", None)
    minReplicaCount: Optional[int] = declare(integer(0, _INT32), "", None)
    maxReplicaCount: int = declare(integer(1, _INT32), "", 100)
    advanced: Advanced = declare(Record(Advanced), "", Advanced())
    fallback: Optional[FallbackSpec] = declare(Record(FallbackSpec), "", None)
