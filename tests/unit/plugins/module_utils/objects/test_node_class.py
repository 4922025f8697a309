# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node classes of each provider: what is refused, and what becomes of what is taken."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.objects import karpenter
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import at, fleet, paths, problems

AWS: dict[str, Any] = {
    "ami": "al2023@v20260724",
    "role": "KarpenterNodeRole",
    "subnet_tags": {"karpenter.sh/discovery": "east"},
    "security_group_tags": {"kubernetes.io/cluster/east": "owned"},
    "root_volume": {"size": "200Gi", "iops": 4000, "throughput": 1000},
    "instance_store": "raid0",
    "reservation_tags": {"purpose": "llm"},
    "tags": {"team": "serving"},
}
AZURE: dict[str, Any] = {"image_family": "Ubuntu2404", "os_disk_gb": 256, "gpu_mode": "None", "tags": {"team": "llm"}}
CUSTOM: dict[str, Any] = {"group": "eks.amazonaws.com", "version": "v1", "kind": "NodeClass", "spec": {"role": "r"}}
DECLARED: dict[str, dict[str, Any]] = {"aws": AWS, "azure": AZURE, "other": CUSTOM}
#: Key of the record by provider.
KEYS = {"aws": "aws", "azure": "azure", "other": "custom"}


def changes(provider: str, **more: Any) -> list[tuple[str, Any]]:
    """A pool of that provider with its class; a value of None removes a key of it."""
    content = {key: value for key, value in {**DECLARED[provider], **more}.items() if value is not None}
    return [("cluster.provider", provider), ("pools[0].node_class", {KEYS[provider]: content})]


def built(provider: str, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The node class and the NodePool."""
    objects = {obj["kind"]: obj for obj in karpenter.build(fleet(*changes(provider, **more)))}
    pool = objects["NodePool"]
    return objects[pool["spec"]["template"]["spec"]["nodeClassRef"]["kind"]], pool


def test_an_ec2_node_class() -> None:
    made, pool = built("aws")
    assert (made["apiVersion"], made["kind"], made["metadata"]["name"]) == (
        "karpenter.k8s.aws/v1", "EC2NodeClass", "h100",
    )  # fmt: skip
    assert made["spec"] == {
        "amiSelectorTerms": [{"alias": "al2023@v20260724"}],
        "role": "KarpenterNodeRole",
        "subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": "east"}}],
        "securityGroupSelectorTerms": [{"tags": {"kubernetes.io/cluster/east": "owned"}}],
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "ebs": {
                    "volumeSize": "200Gi", "volumeType": "gp3", "iops": 4000, "throughput": 1000, "encrypted": True,
                },
            }
        ],
        "instanceStorePolicy": "RAID0",
        "capacityReservationSelectorTerms": [{"tags": {"purpose": "llm"}}],
        "tags": {"team": "serving"},
    }  # fmt: skip
    reference = pool["spec"]["template"]["spec"]["nodeClassRef"]
    assert reference == {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "h100"}


def test_what_an_ec2_node_class_has_unless_told_otherwise() -> None:
    spec = built("aws", security_group_tags=None, root_volume=None, instance_store=None, tags=None)[0]["spec"]
    assert spec["securityGroupSelectorTerms"] == spec["subnetSelectorTerms"]
    assert spec["instanceStorePolicy"] == "RAID0" and "tags" not in spec
    (device,) = spec["blockDeviceMappings"]
    assert device["ebs"]["throughput"] * 4 <= device["ebs"]["iops"]


def test_an_instance_profile_and_disks_left_alone() -> None:
    spec = built("aws", role=None, instance_profile="gpu", instance_store="none")[0]["spec"]
    assert spec["instanceProfile"] == "gpu" and not {"role", "instanceStorePolicy"} & set(spec)


def test_bottlerocket_keeps_images_on_its_second_volume() -> None:
    system, data = built("aws", ami="bottlerocket@v1.44.0")[0]["spec"]["blockDeviceMappings"]
    assert (system["deviceName"], data["deviceName"]) == ("/dev/xvda", "/dev/xvdb")
    assert (system["ebs"]["volumeSize"], data["ebs"]["volumeSize"]) == ("4Gi", "200Gi")


def test_an_aks_node_class() -> None:
    made, _pool = built("azure")
    assert (made["apiVersion"], made["kind"]) == ("karpenter.azure.com/v1beta1", "AKSNodeClass")
    assert made["spec"] == {
        "imageFamily": "Ubuntu2404", "osDiskSizeGB": 256, "gpu": {"mode": "None"}, "tags": {"team": "llm"},
    }  # fmt: skip
    assert built("azure", image_family=None, os_disk_gb=None, gpu_mode=None, tags=None)[0]["spec"] == {
        "osDiskSizeGB": 128,
        "gpu": {"mode": "None"},
    }


def test_a_class_of_another_provider() -> None:
    made, pool = built("other")
    assert (made["apiVersion"], made["kind"], made["spec"]) == ("eks.amazonaws.com/v1", "NodeClass", {"role": "r"})
    reference = pool["spec"]["template"]["spec"]["nodeClassRef"]
    assert reference == {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "h100"}


def test_an_existing_class_of_another_provider() -> None:
    parsed = fleet(*changes("other", spec=None, name="default"))
    objects = {obj["kind"]: obj for obj in karpenter.build(parsed)}
    assert "NodeClass" not in objects
    assert objects["NodePool"]["spec"]["template"]["spec"]["nodeClassRef"]["name"] == "default"


def test_a_name_alone_and_as_a_key_are_the_same() -> None:
    assert karpenter.build(fleet(("pools[0].node_class", {"name": "shared"}))) == karpenter.build(fleet())


def test_overrides_reach_a_node_class() -> None:
    override = {"EC2NodeClass": {"spec": {"detailedMonitoring": True}}}
    objects = karpenter.build(fleet(*changes("aws"), ("pools[0].overrides", override)))
    (made,) = [obj for obj in objects if obj["kind"] == "EC2NodeClass"]
    assert made["spec"]["detailedMonitoring"] is True and made["spec"]["role"] == "KarpenterNodeRole"


REFUSED: dict[str, tuple[list[tuple[str, Any]], str, str]] = {
    "nothing": ([("cluster.provider", "aws"), ("pools[0].node_class", None)], "", "is required with provider aws"),
    "an empty record": ([("pools[0].node_class", {})], "", "has nothing"),
    "two ways": ([("pools[0].node_class", {"name": "a", "custom": CUSTOM})], "", "has name and custom"),
    "another provider": ([("pools[0].node_class", {"aws": AWS})], ".aws", "is not for provider kwok"),
    "a name without its API": ([("cluster.provider", "other")], ".name", "does not say which API"),
    "no role": (changes("aws", role=None), ".aws", "has neither role nor instance_profile"),
    "two roles": (changes("aws", instance_profile="x"), ".aws", "has role and instance_profile"),
    "an image that drifts": (changes("aws", ami="al2023@latest"), ".aws.ami", "must be a pinned alias"),
    "an image without version": (changes("aws", ami="al2023"), ".aws.ami", "must be a pinned alias"),
    "an image of an ended family": (changes("aws", ami="al2@v20251101"), ".aws.ami", "must be a pinned alias"),
    "no subnets": (changes("aws", subnet_tags=None), ".aws.subnet_tags", "is required"),
    "an empty tag": (changes("aws", tags={"a": ""}), ".aws.tags.a", "must be a text"),
    "more throughput than the IOPS carry": (
        changes("aws", root_volume={"iops": 3000, "throughput": 751}),
        ".aws.root_volume.throughput", "is 751 MiB/s, more than a quarter of 3000 IOPS",
    ),
    "a size in another unit": (changes("aws", root_volume={"size": "200G"}), ".aws.root_volume.size", "a size in Gi"),
    "reserved, and no reservation": (changes("aws", reservation_tags=None), ".aws.reservation_tags", "is required"),
    "a small disk": (changes("azure", os_disk_gb=29), ".azure.os_disk_gb", "at least 30"),
    "neither name nor spec": (changes("other", spec=None), ".custom", "has neither name nor spec"),
    "name and spec": (changes("other", name="x"), ".custom", "has name and spec"),
    "a kind in small letters": (changes("other", kind="nodeclass"), ".custom.kind", "must be a kind"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "place", "message"), REFUSED.values(), ids=list(REFUSED))
def test_refused(changed: list[tuple[str, Any]], place: str, message: str) -> None:
    found = {finding.field: finding.message for finding in problems(*changed)}
    assert message in found[f"gpufleet_pools[0].node_class{place}"]


def test_why_an_image_has_to_be_pinned() -> None:
    (finding,) = problems(*changes("aws", ami="al2023@latest"))
    assert "replaces every GPU node" in finding.fix


@pytest.mark.parametrize("key", ["node_class", "weight"])
def test_nodes_that_exist_have_no_class_and_no_weight(key: str) -> None:
    value = {"node_class": "shared", "weight": 5}[key]
    (finding,) = problems((f"pools[1].{key}", value))
    assert (finding.field, finding.fix) == (f"gpufleet_pools[1].{key}", "Remove it.")


PLACES = [
    pytest.param(provider, path, id=f"{provider}-{path}")
    for provider, content in DECLARED.items()
    for path in paths(content)
    if path[:1] != ("spec",) or len(path) == 1
]


@pytest.mark.parametrize(("provider", "path"), PLACES)
def test_wrong_type_at_every_place(provider: str, path: tuple[Any, ...]) -> None:
    record = {KEYS[provider]: copy.deepcopy(DECLARED[provider])}
    *parents, last = (KEYS[provider], *path)
    parent = at(record, tuple(parents))
    parent[last] = {"a": 1} if isinstance(parent[last], int) else [1]
    found = problems(("cluster.provider", provider), ("pools[0].node_class", record))
    place = ".".join(("gpufleet_pools[0].node_class", KEYS[provider], *path))
    assert any(finding.field.startswith(place) for finding in found)
