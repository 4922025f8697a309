# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes a finalizer off an object that is being deleted, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Remover:
    """Who removes a finalizer in the normal course of things, and what to do where that does not happen."""

    who: str
    fix: str


#: KEDA v2.20 controllers/keda; Karpenter v1.14 pkg/apis/v1/labels.go and its providers' pkg/apis; Kubernetes v1.35:
#: apimachinery meta/v1, apiextensions/v1, cloud-provider service/helpers.
_REMOVERS: dict[str, Remover] = {
    r"finalizer\.keda\.sh": Remover(
        "the KEDA operator", "See whether keda-operator runs and what its log says; where it is gone, install it again."
    ),
    r"karpenter\.sh/termination": Remover(
        "Karpenter when the node is drained and its machine gone",
        "See whether Karpenter runs, and the events of the node: a pod that may not be evicted keeps it.",
    ),
    r"karpenter\..+/termination": Remover(
        "Karpenter when no node uses it any more", "See whether Karpenter runs, and which NodeClaims are left."
    ),
    r"foregroundDeletion": Remover(
        "the garbage collector of kube-controller-manager when all that it owns is gone",
        "See what it owns, and why that does not go.",
    ),
    r"customresourcecleanup\.apiextensions\.k8s\.io": Remover(
        "the API server when all objects of the kind are gone", "See which objects of the kind are left."
    ),
    r"service\.kubernetes\.io/load-balancer-cleanup": Remover(
        "the cloud's controller manager when the load balancer is gone", "See the events of the Service."
    ),
}
_UNKNOWN = Remover("the controller that has set it", "Find out which controller that is, and why it does not run.")


def remover(finalizer: str) -> Remover:
    """Of a finalizer by its name."""
    return next((who for pattern, who in _REMOVERS.items() if re.fullmatch(pattern, finalizer)), _UNKNOWN)
