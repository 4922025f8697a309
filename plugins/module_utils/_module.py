# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue between Ansible and the engine: the shared options, and one way out for every error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from . import _cluster
from .checks.mig import mig_findings
from .errors import ClusterError, GpufleetError, InvalidInput
from .findings import Finding, Severity, Verdict
from .fleet.parse import parse_fleet
from .fleet.types import Fleet

#: The declaration. Types are raw: the engine checks the content, and says all that is wrong with it at once.
FLEET_OPTIONS: dict[str, Any] = {
    "cluster": {"type": "raw", "required": True},
    "pools": {"type": "raw"},
    "models": {"type": "raw"},
    "versions": {"type": "raw"},
}
_CLIENT = "kubernetes, with the collection kubernetes.core >= 6.4.0"


def require(module: AnsibleModule, library: str, import_error: Optional[str]) -> None:
    """Fail where a library could not be imported, for which ``import_error`` is the reason."""
    if import_error:
        module.fail_json(msg=missing_required_lib(library), exception=import_error)


def require_client(module: AnsibleModule) -> None:
    """Fail without the client of Kubernetes."""
    require(module, _CLIENT, _cluster.IMPORT_ERROR)


def run(
    options: Mapping[str, Any],
    body: Callable[[AnsibleModule], dict[str, Any]],
    needs: Callable[[AnsibleModule], None] = require_client,
) -> None:
    """Run a module: ``body`` returns its result; a GpufleetError becomes one line, and its findings data.

    ``needs`` fails where a library is missing.
    """
    module = AnsibleModule(argument_spec=dict(options), supports_check_mode=True)
    needs(module)
    try:
        result = body(module)
    except GpufleetError as error:
        fail(module, error)
    module.exit_json(**result)


def fail(
    module: AnsibleModule,
    error: GpufleetError,
    more: Sequence[Mapping[str, str]] = (),
    done: Optional[Mapping[str, Any]] = None,
) -> NoReturn:
    """The one way out for an error. ``more`` findings follow its own, ``done`` is what was done before it."""
    findings = [*(finding.to_dict() for finding in error.findings), *more]
    module.fail_json(msg=error.line(), verdict=Verdict.BROKEN.value, findings=findings, **(done or {}))


def fleet_of(module: AnsibleModule) -> Fleet:
    """The declared fleet, whose GPUs can be divided as it says. Raises InvalidInput."""
    params = module.params
    fleet = parse_fleet(params["cluster"], params["pools"], params["models"], params["versions"])
    broken = [finding for finding in mig_findings(fleet) if finding.severity is Severity.ERROR]
    if broken:
        raise InvalidInput(broken)
    return fleet


def login(fleet: Fleet, **limits: float) -> _cluster.Cluster:
    """Log in to where the fleet's login leads; ``limits`` are those of the client. Raises ClusterError."""
    auth = fleet.cluster.auth
    return _cluster.connect({"kubeconfig": auth.kubeconfig, "context": auth.context}, **limits)


def connect(fleet: Fleet, **limits: float) -> _cluster.Cluster:
    """Log in with ``limits``, and make sure that it is the cluster of the fleet. Raises ClusterError."""
    cluster = login(fleet, **limits)
    if fleet.cluster.uid:
        wrong = cluster.identity_findings(fleet.cluster.uid)
        if wrong:
            raise ClusterError(wrong)
    return cluster


def report(module: AnsibleModule, findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Findings as data; warnings are also shown to the person at the terminal."""
    for finding in findings:
        if finding.severity is Severity.WARNING:
            module.warn(f"{finding.line()} [{finding.id}]")
    return [finding.to_dict() for finding in findings]
