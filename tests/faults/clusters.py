# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several clusters on one bed: each declares pools, namespaces and a cluster name of its own."""

from __future__ import annotations

import json

from e2e import declaration
from e2e.observed import Fields, Key, snapshot
from testbed.api import Api
from testbed.bed import Bed

Json = dict[str, object]
LABEL = "metadata.labels.gpufleet.io/cluster"
#: What the API server draws for each Service.
_DRAWN = ("spec.clusterIP", "spec.clusterIPs[0]")


def variables(bed: Bed, name: str, kubeconfig: str) -> Json:
    """The variables of one cluster. Every name that other clusters could share holds ``name``."""
    model = declaration.model(namespace=name, pool=name, gpus=1, replicas={"min": 1, "max": 2})
    declared = declaration.variables(bed, model, pools=[declaration.pool(name=name)])
    cluster = {**declaration.cluster(bed), "name": name, "auth": {"kubeconfig": kubeconfig}}
    return {**declared, "gpufleet_cluster": cluster}


def states(api: Api, *names: str) -> dict[str, dict[Key, Fields]]:
    """What there is of each cluster, with the cluster's name taken out, so that they can be compared."""
    found = snapshot(api)
    return {
        name: _neutral(name, {key: each for key, each in found.items() if each.get(LABEL) == name}) for name in names
    }


def _neutral(name: str, found: dict[Key, Fields]) -> dict[Key, Fields]:
    pairs = json.loads(json.dumps(list(found.items())).replace(name, "NAME"))
    return {tuple(key): {path: each for path, each in fields.items() if path not in _DRAWN} for key, fields in pairs}
