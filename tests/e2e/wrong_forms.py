# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forms of Karpenter's objects that the design document and older guides show, and what the API server says to them.

The server is 1.35 with the definitions of karpenter-provider-aws v1.14.3, or 1.37 with those of v1.15.1. Of two forms
it says nothing: of these the declaration is the only guard.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_NODE = "spec.template.spec"


@dataclass(frozen=True)
class WrongForm:
    """A change to a right object, and the text of the server; a value of None removes a field.

    ``taken_by`` names the versions of the bed whose server takes it.
    """

    name: str
    kind: str
    field: str
    value: Any
    said: str
    taken_by: str = ""

    def of(self, right: Json) -> Json:
        """The right object in this wrong form."""
        wrong = copy.deepcopy(right)
        parent: Any = wrong
        *steps, last = self.field.split(".")
        for step in steps:
            parent = parent[int(step)] if isinstance(parent, list) else parent[step]
        if self.value is None:
            del parent[last]
        else:
            parent[last] = self.value
        return wrong


#: nodeClassRef and EC2NodeClass as the document prints them.
_REFERENCE = {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "name": "gpu-nodeclass"}
_DOCUMENT = {
    "amiFamily": "AL2",
    "role": "KarpenterNodeRole",
    "subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": "my-cluster"}}],
    "securityGroupSelectorTerms": [{"tags": {"karpenter.sh/discovery": "my-cluster"}}],
    "blockDeviceMappings": [
        {"deviceName": "/dev/xvda", "ebs": {"volumeSize": "500Gi", "volumeType": "gp3", "iops": 16000}}
    ],
}
_UNKNOWN = 'strict decoding error: unknown field "{}"'


def _requirement(key: str, operator: str, value: Any) -> list[Json]:
    return [{"key": key, "operator": operator, "values": [value]}]


WRONG_FORMS = (
    WrongForm("the document's node class", "EC2NodeClass", "spec", _DOCUMENT, "spec.amiSelectorTerms: Required value"),
    WrongForm(
        "the document's reference", "NodePool", f"{_NODE}.nodeClassRef", _REFERENCE,
        _UNKNOWN.format(f"{_NODE}.nodeClassRef.apiVersion"),
    ),
    WrongForm("the document's minNodes", "NodePool", "spec.minNodes", 1, _UNKNOWN.format("spec.minNodes")),
    WrongForm(
        "a reference without its group", "NodePool", f"{_NODE}.nodeClassRef", {"kind": "EC2NodeClass", "name": "gpu"},
        f"{_NODE}.nodeClassRef.group: Required value",
    ),
    WrongForm("no image", "EC2NodeClass", "spec.amiSelectorTerms", None, "spec.amiSelectorTerms: Required value"),
    WrongForm(
        "no subnets", "EC2NodeClass", "spec.subnetSelectorTerms", None, "spec.subnetSelectorTerms: Required value",
    ),
    WrongForm(
        "no security groups", "EC2NodeClass", "spec.securityGroupSelectorTerms", None,
        "spec.securityGroupSelectorTerms: Required value",
    ),
    WrongForm(
        "no role", "EC2NodeClass", "spec.role", None,
        "spec: Invalid value: must specify exactly one of ['role', 'instanceProfile']",
    ),
    WrongForm(
        "the family of another image", "EC2NodeClass", "spec.amiFamily", "AL2",
        "if set, amiFamily must be 'AL2023' or 'Custom' when using an AL2023 alias",
    ),
    WrongForm(
        "an alias without version", "EC2NodeClass", "spec.amiSelectorTerms", [{"alias": "al2023"}],
        "'alias' is improperly formatted, must match the format 'family@version'",
    ),
    WrongForm(
        "RAID in small letters", "EC2NodeClass", "spec.instanceStorePolicy", "raid0",
        'spec.instanceStorePolicy: Unsupported value: "raid0": supported values: "RAID0"',
    ),
    WrongForm(
        "an API of the past", "EC2NodeClass", "apiVersion", "karpenter.k8s.aws/v1beta1", "404 page not found",
    ),
    WrongForm(
        "expiry of the past", "NodePool", "spec.disruption.expireAfter", "720h",
        _UNKNOWN.format("spec.disruption.expireAfter"),
    ),
    WrongForm(
        "emptiness of the past", "NodePool", "spec.ttlSecondsAfterEmpty", 300,
        _UNKNOWN.format("spec.ttlSecondsAfterEmpty"),
    ),
    WrongForm(
        "a policy of the past", "NodePool", "spec.disruption.consolidationPolicy", "WhenUnderutilized",
        'Unsupported value: "WhenUnderutilized": supported values: "WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"',
    ),
    WrongForm(
        "no time to consolidate", "NodePool", "spec.disruption.consolidateAfter", None,
        "spec.disruption.consolidateAfter: Required value", taken_by="next",
    ),
    WrongForm(
        "a fixed count with a weight", "NodePool", "spec.replicas", 1,
        "spec: Invalid value: 'weight' is not supported on static NodePools",
    ),
    WrongForm("too great a weight", "NodePool", "spec.weight", 101, "should be less than or equal to 100"),
    WrongForm(
        "a number for a text", "NodePool", f"{_NODE}.requirements",
        _requirement("karpenter.k8s.aws/instance-gpu-count", "Gt", 0), 'must be of type string: "integer"',
    ),
    WrongForm(
        "a label of no instance", "NodePool", f"{_NODE}.requirements",
        _requirement("karpenter.k8s.aws/gpu-count", "Gt", "0"), 'label domain "karpenter.k8s.aws" is restricted',
    ),
)  # fmt: skip

#: Taken by the server: limits are a free map, and values of a requirement only Karpenter itself knows.
UNNOTICED = (
    WrongForm("minNodes as a limit", "NodePool", "spec.limits.minNodes", "1", ""),
    WrongForm(
        "a capacity type misspelt", "NodePool", f"{_NODE}.requirements",
        _requirement("karpenter.sh/capacity-type", "In", "ondemand"), "",
    ),
)  # fmt: skip
