# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of replica_target_info: what happens next to each target, what would, and what would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ._prometheus import MAX_POINTS
from ._targets import Reader, Selection, Target
from .errors import InvalidInput
from .findings import Finding, Severity
from .fleet.fields import (
    INVALID,
    NAMESPACE,
    OBJECT_NAME,
    Duration,
    FieldType,
    Number,
    Problems,
    Record,
    Text,
    Tree,
    declare,
)
from .fleet.types import Fleet, LlmModel
from .scaling.capacity import concurrency_finding
from .scaling.data import course_data, decision_data
from .scaling.decision import Decision, Situation
from .scaling.explain import explain
from .scaling.keda.types import ScaledObject
from .scaling.offline import situation_of
from .scaling.replay import Course, looks_of, replay
from .scaling.target import decide
from .scaling.what_if import WhatIf, changed

_HOUR_S = 3600
#: Share of a range without metrics from which a replay of it misleads.
_GAPS = 0.1
_LABELS = Text(r"[A-Za-z0-9_./!=(), -]+", "a label selector such as app=llama,tier!=test")
#: What a replay takes from the past.
_OF_NOW = ("values", "replicas")
_SELECTION: dict[str, FieldType] = {"namespace": NAMESPACE, "name": OBJECT_NAME, "label_selector": _LABELS}


@dataclass(frozen=True)
class History:
    """A replay of real metrics. ``step`` and ``start_up`` are in seconds."""

    proposed: Mapping[str, Any] = declare(Tree(), "The configuration to compare with, as in C(what_if).")
    hours: float = declare(Number(0.05, 24 * 28), "For how many hours up to now.", 24.0)
    step: int = declare(Duration(15, 600), "Time between two samples; more hours need a longer one.", 15)
    start_up: int = declare(Duration(0, 4 * _HOUR_S), "How long a new replica takes to be ready.", 0)

    @property
    def seconds(self) -> int:
        """The length of the range."""
        return int(self.hours * _HOUR_S)


@dataclass(frozen=True)
class Options:
    """What is asked. ``given`` situations need no cluster, a ``selection`` does."""

    selection: Optional[Selection]
    given: Sequence[Target]
    what_if: Optional[Mapping[str, Any]]
    history: Optional[History]


def parse_options(params: Mapping[str, Any]) -> Options:
    """The options of the module. Raises InvalidInput with all problems."""
    problems = Problems()
    given = params["given"]
    selection = None if given is not None else _selection(params, problems)
    if given is not None and params["history"] is not None:
        problems.add("history", "needs the Prometheus of a cluster", "Leave out given.")
    targets = [] if given is None else _given(given, problems)
    history = _history_of(params["history"], problems)
    if history is not None and history.seconds // history.step > MAX_POINTS:
        fix = f"Set history.step to {-(-history.seconds // MAX_POINTS)}s or more."
        problems.add("history.hours", f"makes more than the {MAX_POINTS} points that Prometheus answers with", fix)
    # What is wrong with them for every target is said once; what is for one is said of that, by changed().
    for path, what in (("what_if", params["what_if"]), ("history.proposed", history.proposed if history else None)):
        if what is not None:
            Record(WhatIf).parse(what, path, problems)
    if problems.findings:
        raise InvalidInput(problems.findings)
    return Options(selection, targets, params["what_if"], history)


def _selection(params: Mapping[str, Any], problems: Problems) -> Optional[Selection]:
    for key in ("cluster", "namespace"):
        if params[key] is None:
            problems.add(key, "is required", "Set it, or give situations in given.")
    if params["name"] is not None and params["label_selector"] is not None:
        problems.add("label_selector", "contradicts name", "Leave out one of them.")
    known = {key: params[key] for key in _SELECTION if params[key] is not None}
    parsed = {key: _SELECTION[key].parse(value, key, problems) for key, value in known.items()}
    if problems.findings:
        return None
    return Selection(parsed["namespace"], parsed.get("name", ""), parsed.get("label_selector", ""))


def _given(given: Any, problems: Problems) -> list[Target]:
    """The situations that are written down."""
    entries = given if isinstance(given, list) else [given]
    targets = []
    if not entries:
        problems.add("given", "is empty", "Give a situation, or leave it out.")
    for index, entry in enumerate(entries):
        path = f"given[{index}]" if isinstance(given, list) else "given"
        try:
            targets.append(Target(situation_of(entry, path)))
        except InvalidInput as error:
            problems.findings.extend(error.findings)
    return targets


def _history_of(value: Any, problems: Problems) -> Optional[History]:
    history = None if value is None else Record(History).parse(value, "history", problems)
    if history is None or history is INVALID:
        return None
    for key in _OF_NOW:
        if key in history.proposed:
            problems.add(f"history.proposed.{key}", "does nothing in a replay", "Leave it to what_if.")
    return history if isinstance(history, History) else None


def answers(
    targets: Sequence[Target], options: Options, reader: Optional[Reader], fleet: Optional[Fleet]
) -> tuple[list[dict[str, Any]], list[Finding], list[Finding]]:
    """What answer() says of each target, and what is wrong with what is asked about some: the others are answered.

    Raises ClusterError.
    """
    results: list[dict[str, Any]] = []
    findings: list[Finding] = []
    refused: list[Finding] = []
    for target in targets:
        try:
            result, found = answer(target, options, reader, fleet)
        except InvalidInput as error:
            refused += error.findings
        else:
            results.append(result)
            findings += found
    return results, findings, refused


def answer(
    target: Target, options: Options, reader: Optional[Reader], fleet: Optional[Fleet]
) -> tuple[dict[str, Any], list[Finding]]:
    """All that is asked about one target, and what a person should know of it.

    Raises InvalidInput, and ClusterError for what Prometheus does not answer.
    """
    situation, findings = target.situation, list(target.findings)
    decision = decide(situation)
    result = {"namespace": decision.namespace, "name": decision.name, **_decided(situation, decision)}
    if options.what_if is not None:
        other = changed(situation, options.what_if)
        result["what_if"] = _decided(other, decide(other))
    if options.history is not None and reader is not None:
        result["history"] = _history(target, options.history, reader)
        findings += _gaps(situation.scaled, result["history"]["configured"]["no_data_s"], options.history)
    model = _model(situation.scaled, fleet)
    capacity = reader.capacity(fleet, model) if reader and fleet and model else None
    if capacity is not None and model is not None:
        declared, where = (
            model.scaling.concurrency,
            situation.scaled.title,
        )
        result["capacity"] = {**asdict(capacity), "declared_concurrency": declared}
        off = declared and concurrency_finding(capacity, declared, where, "scaling.concurrency")
        findings += [off] if off else []
    return result, findings


def _model(scaled: ScaledObject, fleet: Optional[Fleet]) -> Optional[LlmModel]:
    """The declared model whose replicas a ScaledObject decides."""
    declared = fleet.models if fleet else ()
    wanted = (scaled.namespace, scaled.target_name)
    return next((model for model in declared if (model.namespace, model.name) == wanted), None)


def _decided(situation: Situation, decision: Decision) -> dict[str, Any]:
    return {
        "current": decision.current,
        "desired": decision.desired,
        "decision": decision_data(decision),
        "text": explain(situation, decision),
    }


def _history(target: Target, history: History, reader: Reader) -> dict[str, Any]:
    situation = target.situation
    proposed = changed(situation, history.proposed, "history.proposed").scaled
    start = reader.now - history.seconds
    series = reader.series(situation.scaled, start, reader.now, history.step)
    looks = list(looks_of(series, start, reader.now, history.step))

    def course(scaled: ScaledObject) -> Course:
        return replay(situation, scaled, looks, history.start_up)

    before, after = course(situation.scaled), course(proposed)
    return {
        "hours": history.hours,
        "step_s": history.step,
        "start_up_s": history.start_up,
        "configured": course_data(before),
        "proposed": course_data(after),
        "text": [_told("as configured", before), _told("as proposed", after)],
    }


def _told(how: str, course: Course) -> str:
    """A replay in one line."""
    hours, below = course.replica_seconds / _HOUR_S, course.below // 60
    return (
        f"{how}: {hours:.1f} replica-hours, {len(course.turns)} changes, {course.flips} of them back, "
        f"{course.lowest} to {course.highest} replicas, {course.at_max // 60} min at the maximum, "
        f"{below} min with fewer ready replicas than the metrics asked for"
        + (f", {-(-course.no_data // 60)} min without metrics" if course.no_data else "")
    )


def _gaps(scaled: ScaledObject, no_data_s: int, history: History) -> list[Finding]:
    """Whether too much of a range had no metrics for a replay of it to tell of the past."""
    if no_data_s <= _GAPS * history.seconds:
        return []
    minutes = f"{-(-no_data_s // 60)} of the {history.seconds // 60} min of history"
    message = f"{minutes} have no value of a trigger, so that both replays say little of them"
    where, fix = scaled.title, "Set history.hours to what Prometheus holds."
    return [Finding("metric-missing", Severity.WARNING, message, where, fix=fix)]


def summary(results: Sequence[Mapping[str, Any]]) -> str:
    """All targets in one line."""
    if len(results) == 1:
        (only,) = results
        return f"{only['namespace']}/{only['name']}: {only['text'][0]}"
    up = sum(result["desired"] > result["current"] for result in results)
    down = sum(result["desired"] < result["current"] for result in results)
    return f"{len(results)} targets: {up} go up, {down} go down, {len(results) - up - down} stay"
