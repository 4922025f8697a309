# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the operands of the NVIDIA GPU Operator on the nodes of a bed, and the two that open a node for pods.

bring_up   when how many devices register, as text and as steps
products   what NFD and GFD say about a GPU model
node       what a node should look like, given its devices: a pure comparison
rules      which startup taint a NodeReadinessRule lets go
operands   watches nodes and rules, writes what `node` and `rules` ask for
cluster_policy   what the operator says of a ClusterPolicy, given the nodes
operand_objects  the operands that it deploys: real DaemonSets
operator   watches ClusterPolicies and nodes, writes what these two say
mig_tables    which slices fit on a GPU
mig_config    the configuration file of mig-parted
mig_hardware  how the GPUs of a node are cut, and what cutting them makes of them
mig_devices   what device plugin and GFD say of GPUs that are cut
mig_manager   a process for each pod of mig-manager: reads the label, cuts, writes the state
"""
