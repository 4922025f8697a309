# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files have stable names and hold each object once."""

from __future__ import annotations

from ansible_collections.gpufleet.llm.plugins.module_utils.objects.build import COMPONENTS
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.manifests import manifests
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet


def test_names_and_order() -> None:
    assert [manifest.path for manifest in manifests(fleet(), COMPONENTS)] == [
        "00-namespaces/Namespace-gpufleet.yaml",
        "10-karpenter/PriorityClass-gpufleet-warm.yaml",
        "10-karpenter/NodePool-h100.yaml",
        "10-karpenter/Deployment-gpufleet.warm-h100.yaml",
        "00-namespaces/Namespace-inference.yaml",
        "20-vllm/ServiceAccount-inference.llama-70b.yaml",
        "20-vllm/Deployment-inference.llama-70b.yaml",
        "20-vllm/Service-inference.llama-70b.yaml",
        "20-vllm/PodDisruptionBudget-inference.llama-70b.yaml",
        "20-vllm/ServiceAccount-inference.qwen.yaml",
        "20-vllm/Deployment-inference.qwen.yaml",
        "20-vllm/Service-inference.qwen.yaml",
        "20-vllm/PodDisruptionBudget-inference.qwen.yaml",
        "30-keda/TriggerAuthentication-inference.llama-70b.yaml",
        "30-keda/ScaledObject-inference.llama-70b.yaml",
    ]


def test_a_shared_namespace_belongs_to_the_first_that_builds_it_whatever_is_asked_for() -> None:
    shared = fleet(("cluster.namespace", "inference"))
    first = [manifest.component for manifest in manifests(shared, COMPONENTS) if manifest.obj["kind"] == "Namespace"]
    assert first == ["karpenter"]
    assert not any(manifest.obj["kind"] == "Namespace" for manifest in manifests(shared, ["vllm"]))


def test_a_dot_keeps_namespace_and_name_apart() -> None:
    one = fleet(("models[1].namespace", "a-b"), ("models[1].name", "c"))
    other = fleet(("models[1].namespace", "a"), ("models[1].name", "b-c"))
    paths = [{manifest.path for manifest in manifests(each, ["vllm"])} for each in (one, other)]
    assert not {path for path in paths[0] & paths[1] if "llama" not in path and "inference" not in path}


def test_steps_differ() -> None:
    steps = [component.step for component in COMPONENTS.values()]
    assert steps == sorted(set(steps))
