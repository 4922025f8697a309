# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a client and an API server that breaks chosen calls on purpose.

with fault_proxy(bed.kubeconfigs["converge"], folder) as proxy:
    proxy.add(Rule(Answer(503), verb="PATCH", path="/nodepools/", first=2))
    ...  # a client that uses proxy.kubeconfig
"""

from testbed.standins.fault_proxy.rules import Answer, Call, Delay, Fault, Hook, Reset, Rule, Truncate
from testbed.standins.fault_proxy.server import FaultProxy, fault_proxy

__all__ = ["Answer", "Call", "Delay", "Fault", "FaultProxy", "Hook", "Reset", "Rule", "Truncate", "fault_proxy"]
