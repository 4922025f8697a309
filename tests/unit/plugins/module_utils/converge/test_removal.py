# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who lives in a namespace, and what is named of many."""

from __future__ import annotations

from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.converge.removal import inhabitants, shown

OURS = {"app.kubernetes.io/managed-by": "gpufleet", "gpufleet.io/cluster": "east"}


def thing(name: str, role: str = "", owner: str = "", **metadata: Any) -> dict[str, Any]:
    """An object of ours with a role, else of somebody else; its uid is its name."""
    labels = {**OURS, "gpufleet.io/role": role} if role else {}
    owners = [{"uid": owner}] if owner else []
    meta = {"name": name, "namespace": "n", "uid": name, "labels": labels, "ownerReferences": owners, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def test_who_lives_in_a_namespace() -> None:
    contents = [
        thing("kube-root-ca.crt"),
        thing("deployment", "vllm"),
        thing("pod", owner="replica-set"),
        thing("replica-set", owner="deployment"),
        thing("ending", deletionTimestamp="2026-11-01T00:00:00Z"),
        thing("warm", "karpenter"),
        thing("warm-pod", owner="warm"),
        thing("theirs"),
        thing("their-pod", owner="theirs"),
        thing("of another cluster", "vllm", labels={**OURS, "gpufleet.io/cluster": "west", "gpufleet.io/role": "vllm"}),
    ]
    found = inhabitants(contents, "east", ["keda", "vllm"])
    leaving, later, others = (
        [obj["metadata"]["name"] for obj in group] for group in (found.leaving, found.later, found.others)
    )
    assert sorted(leaving) == ["deployment", "pod", "replica-set"]
    assert sorted(later) == ["warm", "warm-pod"]
    assert others == ["ending", "theirs", "their-pod", "of another cluster"]


def test_of_many_the_first_are_named() -> None:
    assert (shown(["a", "b", "c"]), shown(["a", "b", "c", "d", "e"])) == ("a, b, c", "a, b, c and 2 more")
