# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people decided about autoscalers outside the declaration: named in every run, kept until it ends, never undone
without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Optional

from ..findings import Finding, Severity
from ..fleet.types import Fleet, LlmModel, Replicas
from ..objects.meta import Ref, ref_of
from ..readiness.scalers import pauses
from ..scaling.override import ANNOTATION, FIELD, Override, override_of
from .plan import Action, Change

_BOUNDS = {"minReplicaCount": "min", "maxReplicaCount": "max"}


@dataclass(frozen=True)
class Ended:
    """An override whose time is over. ``text`` is its annotation as it was read."""

    override: Override
    text: str

    def settled(self, live: Mapping[str, Any]) -> set[str]:
        """Paths, as conflicts name them, of the bounds that are still those of the override, whoever wrote them."""
        spec = live.get("spec", {})
        return {f".spec.{field}" for field, of in _BOUNDS.items() if spec.get(field) == getattr(self.override, of)}


@dataclass(frozen=True)
class Decisions:
    """What stands in the live ScaledObjects: ``findings`` name all of it, ``active`` and ``ended`` are overrides."""

    findings: tuple[Finding, ...]
    active: Mapping[Ref, Override]
    ended: Mapping[Ref, Ended]

    def decided(self, fleet: Fleet) -> Fleet:
        """The fleet with the bounds that hold now."""
        by_model = {(ref.namespace, ref.name): override for ref, override in self.active.items()}
        models = (
            _decided(model, by_model.get((model.namespace, model.name))) if model.replicas.autoscaled else model
            for model in fleet.models
        )
        return replace(fleet, models=tuple(models))

    def note(self, ref: Ref) -> str:
        """What the diff of an object says beside its name."""
        if ref in self.active:
            return str(self.active[ref])
        return f"ended {self.ended[ref].override}" if ref in self.ended else ""


def decisions(scaled_objects: Iterable[Mapping[str, Any]], now: datetime) -> Decisions:
    """Read the annotations of ScaledObjects that a run keeps. What cannot be read is a warning, and stays as it is."""
    findings: list[Finding] = []
    active, ended = {}, {}
    for scaled in scaled_objects:
        ref = ref_of(scaled)
        override, problems = override_of(scaled)
        findings += [replace(problem, object=str(ref)) for problem in problems]
        findings += pauses(scaled)
        if override and override.active(now):
            active[ref] = override
            fix = f"Remove the annotation {ANNOTATION} to end it now."
            findings.append(Finding("override", Severity.INFO, str(override), str(ref), FIELD, fix))
        elif override:
            ended[ref] = Ended(override, scaled["metadata"]["annotations"][ANNOTATION])
            message, fix = (
                f"has ended: {override}",
                "The role keda sets the declared bounds again, and removes the annotation.",
            )
            findings.append(Finding("override-ended", Severity.INFO, message, str(ref), FIELD, fix))
    return Decisions(tuple(findings), active, ended)


def dropped(changes: Iterable[Change], now: datetime) -> list[Finding]:
    """Decisions that go with the ScaledObjects that a run deletes."""
    found = []
    deleted = (change.before or {} for change in changes if change.action is Action.DELETE)
    for scaled in (obj for obj in deleted if obj["kind"] == "ScaledObject"):
        override = override_of(scaled)[0]
        lost: Sequence[str] = [str(override)] if override and override.active(now) else []
        lost = [*lost, *(finding.message for finding in pauses(scaled))]
        fix = "Declare replicas.min and max again, and decide anew, if that is not meant."
        found += [
            Finding(
                "decision-dropped", Severity.WARNING, f"is deleted, and with it: {entry}", str(ref_of(scaled)), fix=fix
            )
            for entry in lost
        ]
    return found


def with_override(scaled: Mapping[str, Any], text: Optional[str]) -> dict[str, Any]:
    """A ScaledObject whose annotation says ``text``, or that has none."""
    annotations = scaled["metadata"].get("annotations") or {}
    others = {key: value for key, value in annotations.items() if key != ANNOTATION}
    own = {} if text is None else {ANNOTATION: text}
    return {**scaled, "metadata": {**scaled["metadata"], "annotations": {**others, **own}}}


def _decided(model: LlmModel, override: Optional[Override]) -> LlmModel:
    """A model with the bounds of an override, and with what follows from them."""
    if override is None:
        return model
    fallback = model.scaling.fallback
    within = fallback.replicas and min(max(fallback.replicas, override.min), override.max)
    scaling = replace(model.scaling, fallback=replace(fallback, replicas=within))
    replicas = Replicas(min=override.min, max=override.max)
    return replace(model, replicas=replicas, scaling=scaling, overrides=_without_bounds(model.overrides))


def _without_bounds(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that a user merges last into objects, less the bounds: the decision is younger."""
    scaled = overrides.get("ScaledObject") or {}
    spec = {key: value for key, value in (scaled.get("spec") or {}).items() if key not in _BOUNDS}
    return {**overrides, "ScaledObject": {**scaled, "spec": spec}}
