# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an apply would do: one change an object, decided from its live state and the server's own dry-run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

from ..findings import Finding, Severity
from ..objects.meta import CLUSTER_LABEL, MANAGED_BY, MANAGER, ROLE_LABEL, Ref, label_of, ref_of
from .diff import FieldChange, State, changes, declared_part


class Action(str, Enum):
    """What happens to an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One object before and after. ``handed_over`` says that spec.replicas changes its owner, not its value.

    ``note`` is what the reader of a diff should know beside it.
    """

    ref: Ref
    action: Action
    before: State
    after: State
    handed_over: bool = False
    note: str = ""

    @property
    def fields(self) -> list[FieldChange]:
        """Fields that differ; of a created or deleted object the whole of it is said by the action."""
        if self.action is not Action.UPDATE:
            return []
        owner = [FieldChange("spec.replicas (owner)", MANAGER, "autoscaler")] if self.handed_over else []
        return changes(self.before, self.after) + owner

    def to_dict(self) -> dict[str, Any]:
        """The change as results carry it."""
        return {
            "api_version": self.ref.api_version,
            "kind": self.ref.kind,
            "namespace": self.ref.namespace,
            "name": self.ref.name,
            "action": self.action.value,
            "diff": [entry.to_dict() for entry in self.fields],
        }


def decide(ref: Ref, before: State, after: State, handed_over: bool = False) -> Change:
    """The change from a live object (None: absent) to what the server would make of ours."""
    if before is None:
        return Change(ref, Action.CREATE, None, after)
    if handed_over or changes(before, after):
        return Change(ref, Action.UPDATE, before, after, handed_over)
    return Change(ref, Action.UNCHANGED, before, before)


def ansible_diff(planned: Iterable[Change]) -> list[dict[str, Any]]:
    """The changes in the form that Ansible's ``--diff`` prints."""
    shown = []
    for change in planned:
        if change.action is Action.UNCHANGED:
            continue
        before, after = declared_part(change.before), declared_part(change.after)
        if change.handed_over:
            before["replicas_owner"], after["replicas_owner"] = MANAGER, "autoscaler"
        header = ", ".join(part for part in (str(change.ref), change.note) if part)
        shown.append({"before_header": header, "after_header": header, "before": before, "after": after})
    return shown


def done(planned: Collection[Change]) -> dict[str, Any]:
    """What was or would be done, as results of modules carry it."""
    return {
        "changed": any(change.action is not Action.UNCHANGED for change in planned),
        "objects": [change.to_dict() for change in planned],
        "diff": ansible_diff(planned),
    }


def is_ours(obj: Mapping[str, Any]) -> bool:
    """Whether we wrote an object."""
    return label_of(obj, MANAGED_BY) == MANAGER


def selector_of_role(cluster_name: str, role: str) -> str:
    """Label selector of everything that a role wrote for a cluster."""
    return f"{MANAGED_BY}={MANAGER},{CLUSTER_LABEL}={cluster_name},{ROLE_LABEL}={role}"


def orphans(listed: Iterable[Mapping[str, Any]], wanted: Collection[Ref]) -> list[Mapping[str, Any]]:
    """Objects of ours that are no longer wanted. Namespaces are not among them: they may hold what others made."""
    return [obj for obj in listed if obj["kind"] != "Namespace" and ref_of(obj) not in wanted and not _is_owned(obj)]


def orphan_finding(ref: Ref, kept_because: str = "") -> Finding:
    """What a run says of an object that it leaves behind."""
    message = "is no longer declared" + (f", and is kept because {kept_because}" if kept_because else "")
    rest = "move what runs there, then run again." if kept_because else "run with gpufleet_prune=true to delete it."
    fix = f"Declare it again, or {rest}"
    return Finding("orphan", Severity.WARNING, message, object=str(ref), fix=fix)


def summary(planned: Iterable[Action], check: bool) -> str:
    """One line: how many are created, updated, deleted, unchanged."""
    verbs = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted"}
    counts = Counter(planned)
    parts = [f"{counts[action]} {'to be ' if check else ''}{verb}" for action, verb in verbs.items() if counts[action]]
    if counts[Action.UNCHANGED] or not parts:
        parts.append(f"{counts[Action.UNCHANGED]} unchanged")
    return ", ".join(parts)


def _is_owned(obj: Mapping[str, Any]) -> bool:
    """Whether another object owns it: controllers copy our labels to what they make."""
    owners: Optional[Sequence[Any]] = obj.get("metadata", {}).get("ownerReferences")
    return bool(owners)
