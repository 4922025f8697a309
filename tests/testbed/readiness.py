# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is each part of a bed ready, and if not, why not?

Every check asks for the effect that matters and not for an open port: an admission webhook is ready when a
ScaledObject that it must refuse is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import requests

from testbed import process
from testbed.api import Api, ApiError, resource_path
from testbed.layout import Layout
from testbed.objects import SYSTEM_NODE

Check = Callable[[], str]
"""Returns why it is not ready yet, "" when it is. A failed request counts as not ready."""

_POLL_S = 0.1
_DEADLINE_S = 120.0
_LOG_TAIL_LINES = 15


class NotReadyError(Exception):
    """A program ended, or a deadline passed; the message says which, why, and ends with the tail of its log."""


def wait(layout: Layout, checks: Mapping[str, Check], report: Callable[[str], None]) -> None:
    """Return when every check has passed once; ``report`` is called with the name of each that does.

    A check is named by the program that it is about. Raises NotReadyError.
    """
    pending = dict(checks)
    deadline = time.monotonic() + _DEADLINE_S
    while pending:
        alive = process.running(layout.directory)
        for name, check in list(pending.items()):
            reason = _ask(check)
            if not reason:
                del pending[name]
                report(name)
            elif name not in alive:
                raise NotReadyError(f"{name} has ended.{_log_tail(layout, name)}")
            elif time.monotonic() > deadline:
                raise NotReadyError(f"{name} is not ready after {_DEADLINE_S:.0f} s: {reason}{_log_tail(layout, name)}")
        time.sleep(_POLL_S)


def control_plane(api: Api) -> dict[str, Check]:
    return {"kube-apiserver": lambda: _answers(api)}


def everything(layout: Layout, api: Api) -> dict[str, Check]:
    """The checks of all programs beyond the control plane but for the stand-ins, which answer to nobody."""
    scheduler, ca = f"https://{layout.address('kube-scheduler')}", str(layout.pki / "ca.crt")
    return {
        "kube-controller-manager": lambda: _default_service_account(api),
        "kube-scheduler": lambda: _http(f"{scheduler}/healthz", ca),
        "kwok": lambda: _node_ready(api),
        "prometheus": lambda: _http(f"http://{layout.address('prometheus')}/-/ready"),
        "karpenter": lambda: _karpenter_reconciles(layout),
        "keda-operator": lambda: _http(f"http://{layout.address('keda-operator-health')}/readyz"),
        "keda-adapter": lambda: _external_metrics(api),
        "keda-webhooks": lambda: _refuses_bad_scaled_object(api),
    }


def require_running(layout: Layout, names: Sequence[str]) -> None:
    """Raises NotReadyError when one of the programs has ended."""
    running = process.running(layout.directory)
    for name in names:
        if name not in running:
            raise NotReadyError(f"{name} has ended.{_log_tail(layout, name)}")


def _ask(check: Check) -> str:
    try:
        return check()
    except (ApiError, requests.RequestException) as error:
        return str(error)


def _log_tail(layout: Layout, name: str) -> str:
    path: Path = process.log_path(layout.directory, name)
    lines = path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:] if path.is_file() else []
    return "\n".join([f" The end of {path}:", *lines])


def _http(url: str, ca: str | None = None) -> str:
    answer = requests.get(url, timeout=5, verify=ca)
    return "" if answer.ok else f"{url} answers {answer.status_code} {answer.text.strip()[:200]}"


def _answers(api: Api) -> str:
    api.text("/readyz")
    return ""


def _default_service_account(api: Api) -> str:
    """Pods cannot be created before the controller manager has made the ServiceAccount of their namespace."""
    found = api.find(resource_path("v1", "serviceaccounts", "default", "default"))
    return "" if found else "namespace default has no ServiceAccount yet"


def _node_ready(api: Api) -> str:
    node = api.find(resource_path("v1", "nodes", name=SYSTEM_NODE))
    conditions = (node or {}).get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return "" if ready else f"node {SYSTEM_NODE} is not Ready"


def _karpenter_reconciles(layout: Layout) -> str:
    """Its view of the cluster is built when it has reconciled the system node."""
    metrics = requests.get(f"http://{layout.address('karpenter-metrics')}/metrics", timeout=5).text
    for line in metrics.splitlines():
        if line.startswith('controller_runtime_reconcile_total{controller="state.node",result="requeue_after"}'):
            return "" if float(line.split()[-1]) > 0 else "it has not reconciled a node yet"
    return "it has no node controller yet"


def _external_metrics(api: Api) -> str:
    """The adapter passes a question on to the operator, who knows no such ScaledObject and says so."""
    path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/none"
    try:
        api.request("GET", path, query={"labelSelector": "scaledobject.keda.sh/name=none"})
    except ApiError as error:
        return "" if "none" in error.message and error.status != 503 else str(error)
    return ""


def _refuses_bad_scaled_object(api: Api) -> str:
    trigger = {"type": "cron", "name": "twice", "metadata": {}}
    spec = {"scaleTargetRef": {"name": "none"}, "triggers": [trigger, trigger]}
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "none"}, "spec": spec}
    try:
        api.request("POST", resource_path("keda.sh/v1alpha1", "scaledobjects", "default"), body, {"dryRun": "All"})
    except ApiError as error:
        return "" if "vscaledobject.kb.io" in error.message else str(error)
    return "a ScaledObject with two triggers of one name is admitted"
