# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NodePools buy what the pool says, keep it as long as it says, and taint it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import karpenter
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import CUT, MIXED, fleet

#: Patterns of the NodePool CRD of Karpenter v1.14 (pkg/apis/crds/karpenter.sh_nodepools.yaml).
CRD_DURATION = r"^(([0-9]+(s|m|h))+|Never)$"
CRD_BUDGET_DURATION = r"^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$"
CRD_BUDGET_NODES = r"^((100|[0-9]{1,2})%|[0-9]+)$"


def built(*changes: tuple[str, Any]) -> dict[str, dict[str, Any]]:
    """Objects of the component by kind; the last of a kind wins."""
    return {obj["kind"]: obj for obj in karpenter.build(fleet(*changes))}


def test_a_pool_becomes_a_node_pool() -> None:
    spec = built()["NodePool"]["spec"]
    assert spec["limits"] == {"nodes": "4", "nvidia.com/gpu": "32"}
    assert spec["weight"] == 10, "the override"
    assert spec["template"]["metadata"]["labels"] == {"gpufleet.io/pool": "h100"}
    assert spec["template"]["spec"] == {
        "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "shared"},
        "requirements": [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["p5.48xlarge"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "reserved"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["east-1a"]},
        ],
        "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
        "startupTaints": [{"key": "readiness.k8s.io/nvidia-gpu-not-ready", "value": "pending", "effect": "NoSchedule"}],
        "expireAfter": "720h",
    }


def test_only_empty_nodes_are_taken_away() -> None:
    disruption = built()["NodePool"]["spec"]["disruption"]
    assert (disruption["consolidationPolicy"], disruption["consolidateAfter"]) == ("WhenEmpty", "10m")
    assert disruption["budgets"] == [
        {"nodes": "10%", "reasons": ["Drifted"], "schedule": "0 9 * * 1-5", "duration": "8h"}
    ]


def test_by_default_drift_takes_one_node_at_a_time_and_age_none() -> None:
    spec = built(("pools[0].disruption", None))["NodePool"]["spec"]
    assert spec["disruption"]["budgets"] == [{"nodes": "1", "reasons": ["Drifted"]}]
    assert spec["template"]["spec"]["expireAfter"] == "Never"


@pytest.mark.parametrize("text", ["0s", "1s", "90s", "1h", "1h30m", "24h1m1s", "8760h"])
def test_durations_are_in_the_form_that_the_crd_takes(text: str) -> None:
    disruption = built(("pools[0].disruption.consolidate_after", text))["NodePool"]["spec"]["disruption"]
    assert re.match(CRD_DURATION, disruption["consolidateAfter"])


@pytest.mark.parametrize("text", ["1m", "60s", "90m", "1h30m", "24h"])
@pytest.mark.parametrize("nodes", ["0", "12", "0%", "99%", "100%"])
def test_budgets_are_in_the_form_that_the_crd_takes(text: str, nodes: str) -> None:
    place = "pools[0].disruption.budgets[0]"
    changes = ((f"{place}.duration", text), (f"{place}.nodes", nodes))
    (budget,) = built(*changes)["NodePool"]["spec"]["disruption"]["budgets"]
    assert re.match(CRD_BUDGET_DURATION, budget["duration"])
    assert re.match(CRD_BUDGET_NODES, budget["nodes"])


def test_no_startup_taint_that_nobody_would_remove() -> None:
    assert "startupTaints" not in built(("pools[0].ready_gate", None))["NodePool"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("place", ["pools[0].capacity_types", "pools[0].zones"])
def test_an_empty_choice_is_no_requirement(place: str) -> None:
    requirements = built((place, []))["NodePool"]["spec"]["template"]["spec"]["requirements"]
    assert len(requirements) == 2 and all(entry["values"] for entry in requirements)


def test_a_node_class_is_made_where_none_is_named() -> None:
    made = built(("pools[0].node_class", None))
    assert made["KWOKNodeClass"]["metadata"]["name"] == "h100"
    assert made["NodePool"]["spec"]["template"]["spec"]["nodeClassRef"]["name"] == "h100"
    assert "KWOKNodeClass" not in built()


@pytest.mark.parametrize(
    ("provider", "group", "kind"),
    [("aws", "karpenter.k8s.aws", "EC2NodeClass"), ("azure", "karpenter.azure.com", "AKSNodeClass")],
)
def test_node_classes_of_other_providers_are_named(provider: str, group: str, kind: str) -> None:
    made = built(("cluster.provider", provider))
    reference = made["NodePool"]["spec"]["template"]["spec"]["nodeClassRef"]
    assert reference == {"group": group, "kind": kind, "name": "shared"}


def test_nodes_that_exist_are_left_alone() -> None:
    assert [obj["metadata"]["name"] for obj in karpenter.build(fleet()) if obj["kind"] == "NodePool"] == ["h100"]


def test_a_placeholder_takes_a_whole_node_and_gives_way_to_any_pod() -> None:
    made = built(("pools[0].nodes.warm.count", 2))
    deployment = made["Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    assert (deployment["metadata"]["name"], deployment["metadata"]["namespace"]) == ("warm-h100", "gpufleet")
    assert deployment["spec"]["replicas"] == 2
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert container["resources"]["requests"]["nvidia.com/gpu"] == "8"
    assert spec["nodeSelector"] == {"gpufleet.io/pool": "h100"}
    assert spec["terminationGracePeriodSeconds"] == 0
    assert spec["priorityClassName"] == made["PriorityClass"]["metadata"]["name"]
    assert made["PriorityClass"]["value"] < 0 and made["PriorityClass"]["preemptionPolicy"] == "Never"
    assert made["PriorityClass"]["globalDefault"] is False
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= deployment["spec"]["selector"]["matchLabels"].items()


@pytest.mark.parametrize("warm", [None, {"count": 0}])
def test_nothing_is_kept_warm_unless_asked(warm: Any) -> None:
    assert set(built(("pools[0].nodes.warm", warm))) == {"NodePool"}


def test_a_weight_orders_pools_for_karpenter() -> None:
    assert built(("pools[0].overrides", None), ("pools[0].weight", 7))["NodePool"]["spec"]["weight"] == 7
    assert "weight" not in built(("pools[0].overrides", None))["NodePool"]["spec"]


@pytest.mark.parametrize(
    ("changes", "resource"), [(CUT, "nvidia.com/gpu"), (MIXED, "nvidia.com/mig-1g.10gb")], ids=["single", "mixed"]
)
def test_a_node_that_is_cut_counts_for_its_slices(changes: tuple[tuple[str, Any], ...], resource: str) -> None:
    made = built(*changes)
    spec = made["NodePool"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert labels["nvidia.com/mig.config"].startswith("gpufleet-7x1g.10gb-")
    assert set(labels) == {"gpufleet.io/pool", "nvidia.com/mig.config"}
    assert spec["template"]["spec"]["startupTaints"]
    assert spec["limits"] == {"nodes": "4", resource: "224"}
    assert made["NodeOverlay"]["spec"] == {
        "requirements": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["h100"]}],
        "capacity": {resource: "56"},
    }
    (placeholder,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert placeholder["resources"]["limits"] == {resource: "56"}


def test_a_node_whose_gpus_are_shared_counts_for_its_pods() -> None:
    made = built(("models[0].gpus", 1), ("pools[0].sharing", {"method": "mps", "replicas": 4}))
    labels = made["NodePool"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"gpufleet.io/pool": "h100", "nvidia.com/device-plugin.config": "mps-4"}
    assert made["NodePool"]["spec"]["limits"] == {"nodes": "4", "nvidia.com/gpu": "128"}
    assert made["NodeOverlay"]["spec"]["capacity"] == {"nvidia.com/gpu": "32"}


def test_karpenter_is_told_nothing_of_nodes_that_it_does_not_buy_or_that_are_whole() -> None:
    assert "NodeOverlay" not in built()
    assert "NodeOverlay" not in built(("pools[1].sharing", {"method": "mps", "replicas": 4}))
