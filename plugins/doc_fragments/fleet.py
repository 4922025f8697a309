# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that declare a fleet."""

from __future__ import annotations


class ModuleDocFragment:
    """The cluster alone for modules that need no more, the rest of a declaration for the others."""

    CLUSTER = r"""
options:
  cluster:
    description:
      - The cluster, as in the inventory variable C(gpufleet_cluster). Its keys are listed in the guide on variables.
      - Login is by C(cluster.auth), else by C(K8S_AUTH_*) variables, else by the service account of the pod.
    type: raw
    required: true
requirements:
  - python >= 3.9
  - kubernetes >= 33.1
  - the collection kubernetes.core >= 6.4.0
"""

    DOCUMENTATION = r"""
options:
  pools:
    description: The GPU pools, as in C(gpufleet_pools).
    type: raw
  models:
    description: The models, as in C(gpufleet_models).
    type: raw
  versions:
    description: Versions of the components, as in C(gpufleet_versions).
    type: raw
"""
