# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be cut or shared is refused, in one line each."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.checks.mig import mig_findings
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import SLICED, fleet, problems

MIG, SHARING, SLICE = SLICED
BOTTLEROCKET = {
    "ami": "bottlerocket@v1.44.0",
    "role": "nodes",
    "subnet_tags": {"a": "b"},
}
#: Layouts of pool 0, of H100s with 80 GB; its model asks for 4 GPUs.
UNIFORM, BALANCED = {"layout": {"1g.10gb": 7}}, {"layout": "all-balanced"}
SMALL: tuple[tuple[str, Any], ...] = (("models[0].gpus", 1), ("models[0].slice", "1g.10gb"))
#: Of an eight billion parameter model in 16 bits.
SIZE = {"weights": "16G", "layers": 32, "kv_heads": 8, "head_dim": 128}


def lines(*changes: tuple[str, Any]) -> list[str]:
    """What is said of a declaration, by its checks or before."""
    return [finding.line() for finding in problems(*changes) or mig_findings(fleet(*changes))]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param(
            [("models[0].slice", "1g.10gb"), ("pools[0].mig", UNIFORM)],
            "gpufleet_models[0].slice: is 1g.10gb, but gpus is 4: no process uses more than one slice."
            " Remove gpus, or slice.",
            id="slice and GPUs",
        ),
        pytest.param(
            [SLICE],
            "gpufleet_models[1].slice: is 1g.5gb, but pool 'old' has no mig."
            " Declare the layout of its GPUs in mig, or remove slice.",
            id="slice without mig",
        ),
        pytest.param(
            [("pools[0].sharing", {"method": "mps", "replicas": 4})],
            "gpufleet_models[0].gpus: is 4, but pool 'h100' shares its GPUs: two of them may be one."
            " Remove it, or use a pool without sharing.",
            id="several GPUs of a shared pool",
        ),
        pytest.param(
            [MIG, SLICE, ("pools[1].sharing", {"method": "mps", "replicas": 4})],
            "gpufleet_pools[1].sharing.method: is mps, which the device plugin refuses with mig."
            " Use time-slicing, or leave mig out.",
            id="MPS with MIG",
        ),
        pytest.param(
            [MIG, ("pools[1].node_selector", {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"})],
            "gpufleet_pools[1].node_selector.nvidia.com/gpu.product: selects by a label that changes when the GPUs of a"
            " node are cut: the pool would lose its nodes. Select by a label of your own.",
            id="nodes that leave the pool",
        ),
        pytest.param(
            [*SMALL, ("pools[0].mig", UNIFORM), ("pools[0].ready_gate", None)],
            "gpufleet_pools[0].ready_gate: is required with mig: a pod that starts on a whole GPU keeps it from being"
            " cut. Set it to node-readiness-controller, with a rule that waits for the slices.",
            id="no gate",
        ),
        pytest.param(
            [
                *SMALL,
                ("pools[0].mig", UNIFORM),
                ("pools[0].capacity_types", ["on-demand"]),
                ("pools[0].node_class", {"aws": BOTTLEROCKET}),
                ("cluster.provider", "aws"),
            ],
            "gpufleet_pools[0].mig: is not for Bottlerocket: it divides GPUs by settings of its own at boot, without"
            " mig-manager. Set settings.kubelet-device-plugins.nvidia in overrides.EC2NodeClass.spec.userData, or use"
            " al2023.",
            id="Bottlerocket",
        ),
        pytest.param(
            [("pools[0].gpu", "l40s-48gb"), ("pools[0].instance_types", ["g6e.48xlarge"]), ("pools[0].mig", UNIFORM)],
            "gpufleet_pools[0].mig: is declared, but l40s-48gb cannot be cut into slices. Remove it.",
            id="no MIG",
        ),
        pytest.param(
            [*SMALL, ("pools[0].mig", {"layout": {"3g.40gb": 2, "1g.10gb": 1}})],
            "gpufleet_pools[0].mig.layout: 2x3g.40gb + 1x1g.10gb do not fit on one h100-80gb."
            " Nearest that fit: 2x3g.40gb; or 1x1g.10gb + 1x3g.40gb.",
            id="infeasible",
        ),
        pytest.param(
            [*SMALL, ("pools[0].mig", {"layout": {"1g.5gb": 7}})],
            "gpufleet_pools[0].mig.layout.1g.5gb: '1g.5gb' is no profile of h100-80gb, but of a100-40gb."
            " Did you mean 1g.20gb?",
            id="layout of another GPU",
        ),
        pytest.param(
            [*SMALL, ("pools[0].mig", UNIFORM), MIG, SHARING, SLICE],
            "gpufleet_pools[0].mig.strategy: is single, and that of pool 'old' mixed: the GPU Operator names all slices"
            " in one way. Set it to mixed.",
            id="strategies",
        ),
        pytest.param(
            [("models[0].gpus", 1), ("models[0].slice", "2g.10gb"), ("pools[0].mig", BALANCED)],
            "gpufleet_models[0].slice: is 2g.10gb, and a node of pool 'h100' has 1g.10gb, 2g.20gb, 3g.40gb."
            " Did you mean 2g.20gb?",
            id="slice that is not cut",
        ),
        pytest.param(
            [*SMALL, ("pools[0].mig", {"layout": "all-disabled"})],
            "gpufleet_models[0].slice: is 1g.10gb, and a node of pool 'h100' has no slices."
            " Remove it, or declare such slices.",
            id="slice of whole GPUs",
        ),
        pytest.param(
            [("pools[0].mig", UNIFORM)],
            "gpufleet_models[0].gpus: is 4, but the layout of pool 'h100' leaves none of its GPUs whole."
            " Set slice to a profile of the layout, or leave more GPUs whole.",
            id="GPUs of slices",
        ),
        pytest.param(
            [("pools[0].mig", {"layout": [{"slices": {"1g.10gb": 7}, "devices": [0, 1, 2, 3, 4]}]})],
            "gpufleet_models[0].gpus: is 4, but the layout of pool 'h100' leaves 3 of its 8 GPUs whole."
            " Set slice to a profile of the layout, or leave more GPUs whole.",
            id="too few whole GPUs",
        ),
        pytest.param(
            [*SMALL, ("pools[0].mig", UNIFORM), ("models[0].size", SIZE)],
            "gpufleet_models[0].slice: needs 16.0 GB of weights, and vLLM uses 8.7 GB of a slice 1g.10gb."
            " Use a larger slice, fewer bits for the weights, or a lower --max-model-len.",
            id="weights",
        ),
        pytest.param(
            [
                ("models[0].gpus", 1),
                ("models[0].slice", "2g.20gb"),
                ("models[0].engine.args", ["--max-model-len", "16384"]),
                ("pools[0].mig", BALANCED),
                ("models[0].size", SIZE),
            ],
            "gpufleet_models[0].slice: needs 16.0 GB of weights and 2.1 GB for one request, and vLLM uses 17.5 GB of a"
            " slice 2g.20gb. Use a larger slice, fewer bits for the weights, or a lower --max-model-len.",
            id="one request",
        ),
        pytest.param(
            [
                ("models[0].gpus", 1),
                ("models[0].slice", "3g.40gb"),
                ("models[0].engine.args", ["--max-model-len=16384", "--gpu-memory-utilization=0.95"]),
                ("pools[0].mig", BALANCED),
                ("models[0].size", SIZE),
            ],
            "gpufleet_models[0].scaling.concurrency: is 12, and vLLM uses 36.1 GB of a slice 3g.40gb: only 9 requests"
            " of the longest context fit beside the weights. That is all right where most are shorter; else lower it.",
            id="all requests",
        ),
        pytest.param(
            [("pools[1].sharing", {"method": "time-slicing", "replicas": 3})],
            "gpufleet_models[1].engine.args: lets vLLM take 0.92 of a GPU's memory, which pool 'old' gives to 3 pods."
            " Add --gpu-memory-utilization with at most 0.33.",
            id="memory of all",
        ),
    ],
)
def test_one_line_says_what_is_wrong(changes: list[tuple[str, Any]], line: str) -> None:
    assert lines(*changes) == [line]


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [*SMALL, ("pools[0].mig", UNIFORM)],
        [*SMALL, ("pools[0].mig", {**UNIFORM, "strategy": "mixed"}), MIG, SLICE],
        # Nothing is cut, so that names of slices do not matter.
        [("pools[0].mig", {"layout": "all-disabled"}), MIG, SLICE],
        [("pools[0].mig", {"layout": [{"slices": {"1g.10gb": 7}, "devices": [0, 1, 2, 3]}]})],
        [("pools[1].sharing", {"method": "mps", "replicas": 3})],
        [
            ("pools[1].sharing", {"method": "time-slicing", "replicas": 3}),
            ("models[1].engine", {"args": ["--gpu_memory_utilization=0.3"]}),
        ],
        [*SMALL, ("pools[0].mig", UNIFORM), ("models[0].size", {**SIZE, "weights": "8G"})],
    ],
    ids=["whole", "one", "two", "disabled", "some GPUs", "MPS", "parts of the memory", "small"],
)
def test_what_fits_is_not_told(changes: list[tuple[str, Any]]) -> None:
    assert lines(*changes) == []


def test_a_model_of_two_pools_is_told_once_what_is_wrong_with_both() -> None:
    found = lines(
        ("pools[1]", {**fleet_pool(), "name": "more"}),
        ("pools[0].mig", BALANCED),
        ("models[0].pool", ["h100", "more"]),
        ("models[0].gpus", 1),
        ("models[0].slice", "4g.40gb"),
        ("models[1].pool", "more"),
        ("models[1].slice", "1g.10gb"),
    )
    assert len(found) == 2 and "'h100'" in found[0] and "'more'" in found[1]


def fleet_pool() -> dict[str, Any]:
    """Another pool that Karpenter buys."""
    return {
        "gpu": "h100-80gb",
        "instance_types": ["p5.48xlarge"],
        "nodes": {"max": 1},
        "ready_gate": "node-readiness-controller",
        "mig": BALANCED,
    }
