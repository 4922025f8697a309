# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared pool, and a server whose GPU Operator knows its layout and whose user may do everything."""

from __future__ import annotations

from typing import Any

from ansible_collections.gpufleet.llm.plugins.module_utils._mig_config import updated
from ansible_collections.gpufleet.llm.plugins.module_utils.fleet.parse import parse_fleet
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.pools import layout
from ansible_collections.gpufleet.llm.plugins.module_utils.mig.profiles import mig_gpu_of
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, Call
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.mig_api import MigApi

DECLARED = {
    "name": "h100",
    "gpu": "h100-80gb",
    "gpus_per_node": 8,
    "node_selector": {"gpufleet.io/pool": "h100"},
    "mig": {"layout": {"1g.10gb": 7}},
}
CLUSTER = {"name": "east", "provider": "kwok"}
FLEET = parse_fleet(CLUSTER, [DECLARED], None, None)
_POOL = FLEET.pools[0]


class Api(MigApi):
    """Allows every call but those in ``denied``, by verb and resource."""

    def __init__(self, *denied: str) -> None:
        super().__init__()
        self.denied = denied

    def _answer(self, call: Call) -> Answer:
        if call.path.endswith("/selfsubjectrulesreviews"):
            return Answer(201, {"status": {"resourceRules": []}})
        if call.path.endswith("/selfsubjectreviews"):
            return Answer(201, {"status": {"userInfo": {"username": "ann"}}})
        if call.path.endswith("/selfsubjectaccessreviews"):
            asked = call.body["spec"]["resourceAttributes"]
            name = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return Answer(201, {"status": {"allowed": f"{asked['verb']} {name}" not in self.denied}})
        return super()._answer(call)


def text() -> str:
    """The configuration with what the pool declares."""
    gpu, cut = mig_gpu_of(_POOL.gpu), layout(_POOL)
    return updated(None, "x", [(gpu, cut)] if gpu and cut else [])


def world(name: str = "ours", data: Any = None, strategy: str = "single", denied: tuple[str, ...] = ()) -> Api:
    """A server with the operator, and a ConfigMap of that name."""
    api = Api(*denied)
    metadata: dict[str, Any] = {"name": "cluster-policy"}
    spec = {"mig": {"strategy": strategy}, "migManager": {"config": {"name": "ours" if name == "ours" else ""}}}
    api.add({"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": metadata, "spec": spec})
    place = {"name": name, "namespace": "gpu-operator"}
    data = {"config.yaml": text()} if data is None else data
    api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": data})
    return api
