# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other bounds for a model for a while: a plan that people can approve, and that holds while nothing else moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Optional

from ..errors import InvalidInput
from ..findings import Finding, Severity
from ..fleet.fields import (
    INVALID,
    NAME,
    NAMESPACE,
    Duration,
    ListOf,
    Problems,
    Record,
    Text,
    Tree,
    declare,
    integer,
    nearest,
)
from ..fleet.types import Fleet, LlmModel
from ..objects.meta import Ref
from ..quantity import format_duration
from ..scaling.override import LINE, OVERRIDE, Instant, Override, instant_text, override_in
from ..scaling.phrases import replicas as counted
from .plan import Action, Change

_DURATION = Duration(60)
#: Of the note of an Event (k8s.io/kubernetes v1.35 pkg/apis/core/validation/events.go, NoteLengthLimit).
_NOTE_BYTES = 1024
_RAW = Text(r"[\s\S]*", "a text")
#: What must not have moved since a plan was made, and how a message calls it.
_STANDING = {
    "uid": "the ScaledObject is another one (uid)",
    "min": "minReplicaCount",
    "max": "maxReplicaCount",
    "recorded": "the recorded override",
    "generation": "the generation of its spec",
}


@dataclass(frozen=True)
class Plan:
    """What becomes of one ScaledObject, and what it was when that was planned. Names no secret, and fits into JSON."""

    cluster: str = declare(NAME, "Name of the cluster.")
    cluster_uid: str = declare(Text(), "uid of its namespace kube-system.")
    namespace: str = declare(NAMESPACE, "Namespace of the model.")
    model: str = declare(NAME, "Name of the model, and of its ScaledObject.")
    uid: str = declare(Text(), "uid of the ScaledObject.")
    generation: int = declare(integer(0, 2**53), "Generation of its spec.")
    min: int = declare(integer(0, 2**31 - 1), "Its minReplicaCount.")
    max: int = declare(integer(0, 2**31 - 1), "Its maxReplicaCount.")
    replicas: int = declare(integer(0, 2**31 - 1), "Replicas that its target asks for.")
    who: str = declare(LINE, "Who decides.")
    why: str = declare(LINE, "Why.")
    made_at: datetime = declare(Instant(), "When it was made.")
    changes: tuple[Mapping[str, Any], ...] = declare(ListOf(Tree()), "What the role keda changes after it.")
    recorded: Optional[str] = declare(_RAW, "The annotation that it carries.", None)
    override: Optional[Override] = declare(OVERRIDE, "What it is to carry; nothing gives the bounds back.", None)

    @property
    def ref(self) -> Ref:
        """The ScaledObject."""
        return Ref("keda.sh/v1alpha1", "ScaledObject", self.namespace, self.model)

    @property
    def text(self) -> Optional[str]:
        """What its annotation is to say."""
        return self.override.text if self.override else None

    @property
    def changed(self) -> bool:
        """Whether there is anything to record or to take off."""
        if self.override is None:
            return self.recorded is not None
        return self.override != override_in(self.recorded)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; parse_plan() reads it back."""
        content = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        override = self.override.to_dict() if self.override else None
        return {**content, "changes": list(self.changes), "made_at": instant_text(self.made_at), "override": override}


def parse_plan(content: Mapping[str, Any]) -> Plan:
    """The plan that to_dict() wrote. Raises InvalidInput."""
    problems = Problems()
    plan = Record(Plan).parse(content, "plan", problems)
    if plan is INVALID:
        raise InvalidInput(problems.findings)
    return plan  # type: ignore[no-any-return]  # what a Record makes has the type of its class


@dataclass(frozen=True)
class Wish:
    """What a person asks for: an override of a model, or none of it any more.

    ``counted`` says that its end was given as a time from now.
    """

    model: LlmModel
    who: str
    why: str
    override: Optional[Override] = None
    counted: bool = False

    def settled(self, recorded: Optional[str], now: datetime) -> Optional[Override]:
        """What is to be recorded. The same wish again, for so many hours, is no wish for more hours."""
        standing = override_in(recorded)
        if standing and self.override and self.counted and standing.active(now):
            return standing if replace(standing, until=self.override.until) == self.override else self.override
        return self.override


def parse_wish(given: Mapping[str, Any], fleet: Fleet, now: datetime) -> Wish:
    """From what was asked for: ``model``, ``who``, ``why``, and ``min``, ``max`` and either ``until`` or ``for`` unless
    ``state`` is ``absent``. Raises InvalidInput with all that is wrong."""
    problems = Problems()
    model = _autoscaled(given["model"] or "", fleet, problems)
    for name in ("who", "why"):
        if not given[name]:
            problems.add(name, "is required", f"Say {name}: in the playbook it is gpufleet_scale_{name}.")
    said = {name: LINE.parse(given[name] or "-", name, problems) for name in ("who", "why")}
    override = _override(given, now, problems) if given["state"] == "present" else None
    if problems.findings or model is None:
        # Who and why are read twice.
        raise InvalidInput(list(dict.fromkeys(problems.findings)))
    return Wish(model, **said, override=override, counted=bool(given["for"]))


def _override(given: Mapping[str, Any], now: datetime, problems: Problems) -> Optional[Override]:
    if bool(given["until"]) is bool(given["for"]):
        problems.add("until", "or for is required, and not both", "Say when it ends, or for how long it lasts.")
        return None
    until = given["until"]
    if given["for"]:
        seconds = _DURATION.parse(given["for"], "for", problems)
        until = instant_text(now + timedelta(seconds=seconds)) if seconds is not INVALID else None
    if until is None:
        return None
    # Paths of options have no dictionary around them.
    own, texts = Problems(), {name: given[name] or "-" for name in ("who", "why")}
    override = OVERRIDE.parse({"min": given["min"], "max": given["max"], "until": until, **texts}, "", own)
    problems.findings += [replace(finding, field=finding.field.lstrip(".")) for finding in own.findings]
    if override is not INVALID and not override.active(now):
        problems.add("until", f"is {override.end}, which has passed", "Give a time to come.")
    return None if override is INVALID else override


def _autoscaled(name: str, fleet: Fleet, problems: Problems) -> Optional[LlmModel]:
    models = {model.name: model for model in fleet.models}
    if name not in models:
        problems.add("model", f"{name!r} is not declared", nearest(name, models) if models else "Declare it.")
        return None
    if not models[name].replicas.autoscaled:
        message = f"{name!r} has a fixed count, which no autoscaler changes"
        problems.add("model", message, "Change replicas.count in the inventory, or declare replicas.min and max.")
        return None
    return models[name]


def wish_of(plan: Plan, fleet: Fleet) -> Wish:
    """What a plan was made for. Raises InvalidInput where its model is declared no longer, or elsewhere."""
    problems = Problems()
    model = _autoscaled(plan.model, fleet, problems)
    if model and model.namespace != plan.namespace:
        problems.add("plan.namespace", f"is {plan.namespace}, but the model is in {model.namespace}", "Plan again.")
    if problems.findings or model is None:
        raise InvalidInput(problems.findings)
    return Wish(model, plan.who, plan.why, plan.override)


def age_of(text: str) -> int:
    """Seconds that a plan may be old. Raises InvalidInput."""
    problems = Problems()
    seconds = Duration(1).parse(text, "plan_max_age", problems)
    if seconds is INVALID:
        raise InvalidInput(problems.findings)
    return int(seconds)


def flat(changes: Sequence[Change]) -> tuple[dict[str, Any], ...]:
    """Changes of objects as a plan lists them: a field each; of created and deleted objects the whole."""
    found: list[dict[str, Any]] = []
    for change in (entry for entry in changes if entry.action is not Action.UNCHANGED):
        what = {"object": str(change.ref), "action": change.action.value}
        found += [{**what, **entry.to_dict()} for entry in change.fields] or [what]
    return tuple(found)


def refusals(plan: Plan, fresh: Plan, max_age_s: int, now: datetime) -> list[Finding]:
    """Why a plan may not be carried out any more; ``fresh`` is one for the same wish, made now."""
    if plan.cluster_uid != fresh.cluster_uid:
        message = f"is for the cluster {plan.cluster} ({plan.cluster_uid}), and this is {fresh.cluster_uid}"
        return [Finding("wrong-cluster", Severity.ERROR, message, field="plan", fix="Carry it out there.")]
    messages = []
    # A clock that is ahead makes plans of the future, which must not live longer.
    if abs(now - plan.made_at) > timedelta(seconds=max_age_s):
        when = "from now" if plan.made_at > now else "ago"
        messages.append(f"was made at {instant_text(plan.made_at)}, more than {format_duration(max_age_s)} {when}")
    if plan.override and not plan.override.active(now):
        messages.append(f"ends at {plan.override.end}, which has passed")
    elif moved := _moved(plan, fresh):
        messages.append(f"was made before the cluster moved on: {moved}")
    text = ", and ".join(messages)
    fix = "Plan again."
    return [Finding("plan-outdated", Severity.ERROR, text, str(plan.ref), "plan", fix)] if messages else []


def _moved(plan: Plan, fresh: Plan) -> str:
    told = []
    for name, title in _STANDING.items():
        before, after = getattr(plan, name), getattr(fresh, name)
        if before != after:
            told.append(f"{title} was {_said(before)} and is {_said(after)}")
    if not told and plan.changes != fresh.changes:
        told.append("the role keda would change something else by now")
    return ", ".join(told)


def _said(value: Any) -> str:
    return "none" if value is None else " ".join(str(value).split())


def bounds_after(plan: Plan, model: LlmModel) -> dict[str, int]:
    """``min`` and ``max`` that hold once a plan is carried out."""
    after, declared = plan.override, model.replicas.bounds
    return dict(zip(("min", "max"), (after.min, after.max) if after else declared))


def told(plan: Plan, model: LlmModel, findings: Sequence[Finding] = ()) -> list[str]:
    """The plan for people, a line each. ``model`` is the declared one; who approves has to see the warnings, too."""
    after, declared = plan.override, model.replicas.bounds
    low, high = bounds_after(plan, model).values()
    standing = override_in(plan.recorded)
    lines = [
        f"{plan.ref} in cluster {plan.cluster}",
        f"Now:  {plan.min} to {plan.max} replicas, {f'by an {standing}' if standing else 'as declared'};"
        f" {plan.replicas} asked for.",
    ]
    if not plan.changed:
        return [*lines, "Plan: nothing to record; it is so already."]
    unit = f"slices {model.slice}" if model.slice else "GPUs"
    until = f"until {after.end}" if after else "again, as declared"
    lines += [
        f"Plan: {low} to {high} replicas {until}, by {plan.who} ({plan.why}).",
        f"{unit[0].upper()}{unit[1:]}: at least {plan.min * model.gpus} -> {low * model.gpus}, at most"
        f" {plan.max * model.gpus} -> {high * model.gpus}.",
    ]
    lines += _at_once(plan.replicas, low, high, f"{(low - plan.replicas) * model.gpus} {unit}")
    if after:
        lines.append(f"Then: the first run of the role keda after that sets {declared[0]} to {declared[1]} again.")
    lines += [_line(change) for change in plan.changes]
    lines += [f"Warning: {finding.line()}" for finding in findings if finding.severity is Severity.WARNING]
    return lines


def _at_once(replicas: int, low: int, high: int, more: str) -> list[str]:
    """What an HPA does outside its bounds: neither metrics nor windows nor policies count (reconcileAutoscaler in
    pkg/controller/podautoscaler/horizontal.go of Kubernetes 1.35)."""
    if replicas < low:
        return [f"At once: {counted(low - replicas)} more ({more}), whatever the metrics say."]
    if replicas > high:
        return [f"At once: {counted(replicas - high)} less, whatever the metrics say: no window or policy delays it."]
    return []


def _line(change: Mapping[str, Any]) -> str:
    if "field" not in change:
        return f"Role keda: {change['object']}: {change['action']}"
    return f"Role keda: {change['object']} {change['field']}: {change['before']} -> {change['after']}"


def summary(plan: Plan, model: LlmModel, check: bool) -> str:
    """One line: what was done, or would be."""
    if not plan.changed:
        return f"{plan.ref}: nothing to record"
    what = "to be recorded" if check else "recorded"
    return f"{plan.ref}: {_outcome(plan)}, {what if plan.override else what.replace('recorded', 'given back')}"


def event_note(plan: Plan) -> str:
    """What an Event says, cut to what it can hold."""
    text = f"{plan.min} to {plan.max} replicas -> {_outcome(plan)}, by {plan.who} ({plan.why})"
    return text.encode()[:_NOTE_BYTES].decode(errors="ignore")


def _outcome(plan: Plan) -> str:
    after = plan.override
    return f"{after.min} to {after.max} replicas until {after.end}" if after else "the declared bounds"
