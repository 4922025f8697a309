# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for what needs a GPU: node operands, vLLM pods, and the load that hits them.

Each is a program of its own that talks to the bed only through the Kubernetes API and loopback HTTP, so it can be
run against any API server: `python -m testbed.standins.{gpu_operands,vllm_pods,load} --help`.
"""
