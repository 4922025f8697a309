# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration files of a bed's programs, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from testbed import instances
from testbed.layout import Layout
from testbed.settings import Settings


def texts(layout: Layout, settings: Settings) -> dict[str, str]:
    """Content by file name of everything under ``config/`` of the bed."""
    return {
        "audit-policy.yaml": _yaml(_audit_policy()),
        "instance-types.json": instances.karpenter_file(settings.sold_out),
        "prometheus.yaml": _yaml(_prometheus(layout, settings)),
        "stages.yaml": (Path(__file__).parent / "stages.yaml").read_text(),
    }


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def _audit_policy() -> dict[str, Any]:
    """One line per finished request with its metadata; leases that components renew are left out.

    Of an autoscaling also what was seen and what was decided: both are nowhere else to be seen, and never so exactly.
    Of a node what was asked and what it was then, by whose version it is known what else was true at that moment.
    """
    scales = [{"group": "apps", "resources": ["*/scale"]}]
    nodes = [{"group": "", "resources": ["nodes"]}]
    autoscalers = [
        {"group": "autoscaling", "resources": ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]},
        {"group": "keda.sh", "resources": ["scaledobjects/status"]},
    ]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {
                "level": "None",
                "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
                "namespaces": ["kube-node-lease", "kube-system", "keda"],
            },
            {"level": "RequestResponse", "verbs": ["update", "patch"], "resources": nodes},
            {"level": "RequestResponse", "verbs": ["get", "update", "patch"], "resources": scales},
            {"level": "RequestResponse", "verbs": ["create", "update", "patch"], "resources": autoscalers},
            {"level": "Metadata"},
        ],
    }


def _prometheus(layout: Layout, settings: Settings) -> dict[str, Any]:
    """Scrapes the pods that ask for it, as the usual Helm charts do, at the loopback twin of their address."""
    pod = "__meta_kubernetes_pod_"
    relabel = [
        {"source_labels": [f"{pod}annotation_prometheus_io_scrape"], "regex": "true", "action": "keep"},
        {"source_labels": [f"{pod}phase"], "regex": "Succeeded|Failed", "action": "drop"},
        {
            "source_labels": [f"{pod}ip", f"{pod}annotation_prometheus_io_port"],
            "regex": "(.+);(\\d+)",
            "replacement": "$1:$2",
            "target_label": "__address__",
        },
        {
            "source_labels": [f"{pod}annotation_prometheus_io_path"],
            "regex": "(.+)",
            "target_label": "__metrics_path__",
        },
        {
            "source_labels": ["__address__"],
            "regex": f"10\\.{layout.number}\\.(.+)",
            "replacement": f"{layout.pod_network}.$1",
            "target_label": "__address__",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{pod}name"], "target_label": "pod"},
    ]
    interval = f"{settings.scrape_interval_s}s"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(layout.kubeconfig("prometheus"))}],
                "relabel_configs": relabel,
            }
        ],
    }


def write(layout: Layout, settings: Settings) -> dict[str, str]:
    """Write them all and return them."""
    files = texts(layout, settings)
    layout.config("").mkdir(exist_ok=True)
    for name, text in files.items():
        layout.config(name).write_text(text)
    return files
