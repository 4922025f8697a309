# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a declaration that contradict each other are refused, each with its path and a way out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.gpus import INSTANCE_TYPES
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.validate import MANAGED_ARGS, flag_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import fleet, problems

REFUSED = {
    "a secret as an argument": (
        [("models[0].engine.args", ["--api_key=hunter2"])],
        "models[0].engine.args[0]", "--api-key would show a secret to everybody",
    ),
    "the name of placeholders": (
        [("models[0].namespace", "gpufleet"), ("models[0].name", "warm-h100")],
        "models[0].name", "'warm-h100' is the name of a pool's placeholders there",
    ),
    "neither instance types nor selector": (
        [("pools[1].node_selector", None)],
        "pools[1]", "has neither instance_types nor node_selector",
    ),
    "both instance types and selector": (
        [("pools[0].node_selector", {"a": "b"})],
        "pools[0]", "has both instance_types and node_selector",
    ),
    "no size": ([("pools[0].nodes", None)], "pools[0].nodes", "is required with instance_types"),
    "size of existing nodes": (
        [("pools[1].nodes", {"max": 3})], "pools[1].nodes", "is only for pools with instance_types",
    ),
    "nobody buys": ([("cluster.provider", "none")], "pools[0].instance_types", "needs a provider"),
    "no node class": (
        [("cluster.provider", "aws"), ("pools[0].node_class", None)],
        "pools[0].node_class", "is required with provider aws",
    ),
    "another GPU": (
        [("pools[0].instance_types", ["p5.48xlarge", "p4d.24xlarge", "g5.xlarge"])],
        "pools[0].instance_types", "p4d.24xlarge (a100-40gb), g5.xlarge (a10g-24gb) do not have the GPU h100-80gb",
    ),
    "two counts": (
        [("pools[0].instance_types", ["p5.48xlarge", "p5.4xlarge"]), ("pools[0].gpus_per_node", None)],
        "pools[0].instance_types", "p5.48xlarge (8), p5.4xlarge (1)",
    ),
    "unknown count": (
        [("pools[0].instance_types", ["future.1"]), ("pools[0].gpus_per_node", None)],
        "pools[0].gpus_per_node", "is required for future.1",
    ),
    "unknown count of nodes that exist": (
        [("pools[1].gpus_per_node", None)], "pools[1].gpus_per_node", "is required for existing nodes",
    ),
    "wrong count": ([("pools[0].gpus_per_node", 4)], "pools[0].gpus_per_node", "is 4, but its instances have 8"),
    "more warm nodes than nodes": (
        [("pools[0].nodes.warm.count", 5)], "pools[0].nodes.warm.count", "is 5, more than the 4 nodes",
    ),
    "half a window": (
        [("pools[0].disruption.budgets[0].duration", None)], "pools[0].disruption.budgets[0]", "has only one of",
    ),
    "a window in seconds": (
        [("pools[0].disruption.budgets[0].duration", "90s")],
        "pools[0].disruption.budgets[0].duration", "is 90 s, not whole minutes",
    ),
    "unknown pool": ([("models[0].pool", "h200")], "models[0].pool", "'h200' is not a declared pool"),
    "too large a model": ([("models[0].gpus", 16)], "models[0].gpus", "is 16, but a node of pool 'h100' has 8"),
    "s3": ([("models[0].source.uri", "s3://b/m")], "models[0].source.uri", "vLLM does not load s3:// by itself"),
    "path elsewhere": ([("models[1].source.uri", "/etc/x")], "models[1].source.uri", "is not below /models"),
    "path out of the volume": (
        [("models[1].source.uri", "/models/../etc")], "models[1].source.uri", "must not leave its volume",
    ),
    "path without volume": ([("models[1].source.volume", None)], "models[1].source.volume", "is required with a path"),
    "an option as model": ([("models[0].source.uri", "--config")], "models[0].source.uri", "is neither a hub id nor"),
    "three parts": ([("models[0].source.uri", "a/b/c")], "models[0].source.uri", "is neither a hub id nor a path"),
    "dots": ([("models[0].source.uri", "a/..")], "models[0].source.uri", "is neither a hub id nor a path"),
    "two words": ([("models[0].engine.args", ["--seed 5"])], "models[0].engine.args[0]", "holds more than one word"),
    "count and bounds": ([("models[1].replicas.min", 1)], "models[1].replicas", "has count and min"),
    "half the bounds": ([("models[0].replicas.max", None)], "models[0].replicas", "has min"),
    "no replicas": ([("models[0].replicas", {})], "models[0].replicas", "has nothing"),
    "min above max": ([("models[0].replicas.min", 7)], "models[0].replicas.min", "is 7, above max 6"),
    "no concurrency": ([("models[0].scaling.concurrency", None)], "models[0].scaling.concurrency", "is required with"),
    "no Prometheus": ([("cluster.prometheus", None)], "cluster.prometheus", "because model 'llama-70b' scales"),
    "steps faster than a start": (
        [("models[0].scaling.scale_up.period", "479s")], "models[0].scaling.scale_up.period", "is 479 s, shorter than",
    ),
    "fallback below min": (
        [("models[0].scaling.fallback.replicas", 1)], "models[0].scaling.fallback.replicas", "is 1, outside 2 to 6",
    ),
    "override of an unknown kind": (
        [("models[0].overrides", {"Deploymnt": {}})], "models[0].overrides.Deploymnt", "is not a kind made here",
    ),
    "override that is no dictionary": (
        [("models[0].overrides", {"Deployment": []})], "models[0].overrides.Deployment", "must be a dictionary",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "message"), REFUSED.values(), ids=list(REFUSED))
def test_refused(changes: list[tuple[str, Any]], field: str, message: str) -> None:
    found = {finding.field: finding for finding in problems(*changes)}
    assert message in found[f"gpufleet_{field}"].message
    assert found[f"gpufleet_{field}"].fix or "dictionary" in message


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ({"metadata": None}, "metadata"),
        ({"metadata": {"name": "x"}}, "metadata.name"),
        ({"metadata": {"namespace": "kube-system"}}, "metadata.namespace"),
        ({"metadata": {"labels": None}}, "metadata.labels"),
        ({"metadata": {"labels": {"gpufleet.io/role": "x"}}}, "metadata.labels.gpufleet.io/role"),
        (
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
            "metadata.labels.app.kubernetes.io/managed-by",
        ),
        ({"kind": "Pod"}, "kind"),
        ({"apiVersion": "v1"}, "apiVersion"),
        ({"spec": None}, "spec"),
        ({"spec": {"scaleTargetRef": {"name": "other"}}}, "spec.scaleTargetRef"),
        ({"spec": {"scaleTargetRef": None}}, "spec.scaleTargetRef"),
    ],
    ids=str,
)
def test_an_override_cannot_change_what_or_whose_an_object_is(override: dict[str, Any], where: str) -> None:
    found = problems(("models[0].overrides", {"ScaledObject": override}))
    assert [finding.field for finding in found] == [f"gpufleet_models[0].overrides.ScaledObject.{where}"]


def test_an_override_may_add_labels_annotations_and_fields() -> None:
    override = {"metadata": {"labels": {"team": "a"}, "annotations": {"x": None}}, "spec": {"paused": True}}
    assert problems(("models[0].overrides", {"Deployment": override})) == []


@pytest.mark.parametrize("argument", [*MANAGED_ARGS, "--model=x", "--served_model_name", "--shutdown_timeout=5"])
def test_an_argument_that_follows_from_elsewhere_is_refused(argument: str) -> None:
    (finding,) = problems(("models[0].engine.args", ["--seed", argument]))
    assert finding.field == "gpufleet_models[0].engine.args[1]"
    assert "follows from" in finding.message


@pytest.mark.parametrize(
    ("argument", "flag"),
    [
        ("--a-b", "--a-b"),
        ("--a_b=c_d", "--a-b"),
        ("-tp", "-tp"),
        ("value_x", ""),
        ("=", ""),
        ("", ""),
        ('{"a": "--model"}', ""),
    ],
)
def test_options_of_vllm(argument: str, flag: str) -> None:
    assert flag_of(argument) == flag


def test_an_equals_sign_alone_is_an_argument() -> None:
    assert problems(("models[0].engine.args", ["=", "= ="])) == []


@pytest.mark.parametrize("name", INSTANCE_TYPES)
def test_known_instance_types_bring_their_count(name: str) -> None:
    entry = INSTANCE_TYPES[name]
    parsed = fleet(
        ("pools[0].instance_types", [name]), ("pools[0].gpu", entry.gpu.value), ("pools[0].gpus_per_node", None),
        ("models[0].gpus", 1),
    )  # fmt: skip
    assert parsed.pool("h100").gpus_per_node == entry.count


def test_unknown_instance_types_take_the_declared_count() -> None:
    parsed = fleet(("pools[0].instance_types", ["future.1", "p5.48xlarge"]))
    assert parsed.pool("h100").gpus_per_node == 8


def test_a_broken_pool_is_not_reported_again_by_its_models() -> None:
    found = problems(("pools[0].gpu", "h100"))
    assert [finding.field for finding in found] == ["gpufleet_pools[0].gpu"]
