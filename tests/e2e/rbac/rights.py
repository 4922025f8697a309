# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From calls to rights: what one call asks the authorizer for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from ansible_collections.gpufleet.llm.plugins.module_utils.objects.node_class import KINDS

from testbed.audit import Call

#: Read one by one, under names that never change.
_NAMED = frozenset({"customresourcedefinitions"})
#: The namespace is itself what is read or made: a binding inside of one does not exist before it. Events of what has no
#: namespace are in ``default``, where nothing else is granted.
_CLUSTER_WIDE = frozenset({("", "namespaces"), ("", "events")})


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource of one API group; on the object ``name`` alone unless that is empty."""

    group: str
    resource: str
    verb: str
    name: str = ""


@dataclass(frozen=True)
class Rights:
    """What has to be granted in the whole cluster, and what only in the namespaces that a run works in."""

    everywhere: frozenset[Right]
    in_namespaces: frozenset[Right]

    @property
    def all(self) -> frozenset[Right]:
        return self.everywhere | self.in_namespaces


def rights_of(calls: Iterable[Call], namespaces: Collection[str] = ()) -> Rights:
    """The fewest rights with which these calls are allowed, where a run works in ``namespaces``; all if empty.

    Left out is what every authenticated user may do: discovery, the version, questions about one's own rights.
    """
    asked = [(call, right) for call in calls if call.resource and not call.is_review for right in _asked_for(call)]
    everywhere = {
        right
        for call, right in asked
        if not call.namespace
        or (right.group, right.resource) in _CLUSTER_WIDE
        or (namespaces and call.namespace not in namespaces)
    }
    everywhere |= {other for right in everywhere for other in _alike(right)}
    return Rights(frozenset(everywhere), frozenset(right for _, right in asked) - everywhere)


def _asked_for(call: Call) -> Iterator[Right]:
    group, _, resource = ("", "", call.resource) if call.uri.startswith("/api/") else call.resource.partition("/")
    right = Right(group, resource, call.verb, call.name if resource in _NAMED else "")
    yield right
    if call.verb == "patch" and call.status == 201:
        # An apply that creates is authorized as both (k8s.io/apiserver v0.35 pkg/endpoints/handlers/patch.go).
        yield replace(right, verb="create")


def _alike(right: Right) -> Iterator[Right]:
    """The same on the node classes of other providers, which no one cluster serves all of."""
    kinds = {(version.partition("/")[0], kind.lower() + "es") for version, kind in KINDS.values()}
    if (right.group, right.resource) in kinds:
        yield from (replace(right, group=group, resource=resource) for group, resource in kinds)
