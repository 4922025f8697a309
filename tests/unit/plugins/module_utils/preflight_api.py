# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in memory that also answers what preflight asks of permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import READY_TAINT, Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils import observed
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.declarations import VALID
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, Call, FakeApi

UID = VALID["cluster"]["uid"]
NAMES = {"karpenter": ("karpenter", "1.14.3"), "keda": ("keda-operator", "2.20.2")}


class Api(FakeApi):
    """A cluster on which the valid declaration works, and that answers reviews; ``deny`` picks the calls it forbids."""

    def __init__(self, *missing: str) -> None:
        super().__init__(*missing)
        self.deny: Callable[[dict[str, str]], bool] = lambda attributes: False
        self.version = "v1.35.4"
        self.rules: dict[str, list[dict[str, Any]]] = {}
        self.kinds["v1"] = {**self.kinds["v1"], "Event": ("events", True)}
        crd = {"CustomResourceDefinition": ("customresourcedefinitions", False)}
        self.kinds["apiextensions.k8s.io/v1"] = crd
        if "readiness.node.x-k8s.io/v1alpha1" not in missing:
            self.kinds["readiness.node.x-k8s.io/v1alpha1"] = {"NodeReadinessRule": ("nodereadinessrules", False)}
            self.add(
                observed.observed(
                    "readiness.node.x-k8s.io/v1alpha1", "NodeReadinessRule", "gpu", spec={"taint": READY_TAINT}
                )
            )
        self.add(observed.observed("v1", "Namespace", "kube-system", metadata={"uid": UID}))
        self.add(observed.observed("karpenter.kwok.sh/v1alpha1", "KWOKNodeClass", "shared"))
        self.add(node())
        for name, version in NAMES.values():
            labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/version": version}
            self.add(observed.observed("apps/v1", "Deployment", name, "system", metadata={"labels": labels}))

    def _answer(self, call: Call) -> Answer:
        if call.path == "/version":
            return Answer(200, {"gitVersion": self.version})
        if call.path.endswith("/selfsubjectreviews"):
            return Answer(201, {"status": {"userInfo": {"username": "ci"}}})
        if call.path.endswith("/selfsubjectrulesreviews"):
            rules = self.rules.get((call.body or {})["spec"]["namespace"])
            return Answer(201, {"status": {"resourceRules": rules, "incomplete": True}})
        if call.path.endswith("/selfsubjectaccessreviews"):
            attributes = (call.body or {})["spec"]["resourceAttributes"]
            return Answer(201, {"status": {"allowed": not self.deny(attributes)}})
        return super()._answer(call)

    def _list(self, ref: Ref, query: dict[str, str]) -> Answer:
        """Knows the selector ``label in (a,b)`` too."""
        label, _in, names = query.get("labelSelector", "").partition(" in ")
        if not names:
            return super()._list(ref, query)
        lists = [super(Api, self)._list(ref, {"labelSelector": f"{label}={name}"}) for name in names[1:-1].split(",")]
        return Answer(200, {"items": [item for found in lists for item in found.body["items"] or []]})


def node(name: str = "n1", **allocatable: str) -> dict[str, Any]:
    """A node of the existing pool."""
    room = {"cpu": "96", "memory": "1Ti", "nvidia.com/gpu": "8", **allocatable}
    return observed.observed(
        "v1", "Node", name, metadata={"labels": {"example.com/gpu": "a100"}}, status={"allocatable": room}
    )
