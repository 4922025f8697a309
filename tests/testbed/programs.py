# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every program of a bed: its command line, its environment, its version.

The flags were found to be what lets each run as a plain process, without root, on loopback only. Three
listeners cannot be bound to one address by any flag: KEDA's adapter metrics, its webhooks, and Karpenter's.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from testbed import versions
from testbed.layout import HOST, REPOSITORY, Layout
from testbed.process import Program
from testbed.settings import Settings

_STANDINS = Path(__file__).parent / "standins"


def control_plane(layout: Layout, binaries: Mapping[str, Path], configs: Mapping[str, str]) -> list[Program]:
    """etcd and the API server: all others need them."""
    client = f"http://{layout.address('etcd')}"
    peer = f"http://{layout.address('etcd-peer')}"
    etcd = Program(
        "etcd",
        (
            str(binaries["etcd"]),
            f"--data-dir={layout.directory / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ),
        versions.CHOSEN.etcd,
    )
    return [etcd, _apiserver(layout, binaries, configs)]


def _apiserver(layout: Layout, binaries: Mapping[str, Path], configs: Mapping[str, str]) -> Program:
    pki = layout.pki
    argv = (
        str(binaries["kube-apiserver"]),
        f"--etcd-servers=http://{layout.address('etcd')}",
        f"--bind-address={HOST}",
        f"--secure-port={layout.ports['kube-apiserver']}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--token-auth-file={pki / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        # Apart from the pod network 10.0.0.0/8, in which every bed has its own second octet.
        "--service-cluster-ip-range=172.30.0.0/16",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--audit-policy-file={layout.config('audit-policy.yaml')}",
        f"--audit-log-path={layout.audit_log}",
        # In MiB. Tests read on from an offset, which a rotated file would break.
        "--audit-log-maxsize=100000",
    )
    return Program("kube-apiserver", argv, versions.CHOSEN.kubernetes, inputs=configs["audit-policy.yaml"])


def _controller_manager(layout: Layout, settings: Settings, binaries: Mapping[str, Path]) -> Program:
    argv = (
        str(binaries["kube-controller-manager"]),
        *_kubernetes_flags(layout, "kube-controller-manager"),
        f"--service-account-private-key-file={layout.pki / 'service-account.key'}",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        "--controllers=*,-nodeipam",
        "--kube-api-qps=200",
        "--kube-api-burst=300",
        f"--horizontal-pod-autoscaler-sync-period={settings.hpa_sync_s}s",
        f"--horizontal-pod-autoscaler-downscale-stabilization={settings.hpa_downscale_stabilization_s}s",
    )
    return Program("kube-controller-manager", argv, versions.CHOSEN.kubernetes)


def controllers(
    layout: Layout, settings: Settings, binaries: Mapping[str, Path], configs: Mapping[str, str]
) -> list[Program]:
    """What needs nothing but the API server."""
    kubeconfig = layout.kubeconfig
    return [
        _controller_manager(layout, settings, binaries),
        Program(
            "kube-scheduler",
            (str(binaries["kube-scheduler"]), *_kubernetes_flags(layout, "kube-scheduler")),
            versions.CHOSEN.kubernetes,
        ),
        Program(
            "kwok",
            (
                str(binaries["kwok"]),
                f"--kubeconfig={kubeconfig('kwok')}",
                "--manage-all-nodes=true",
                f"--config={layout.config('stages.yaml')}",
                f"--server-address={layout.address('kwok')}",
                f"--node-lease-duration-seconds={settings.node_lease_s}",
            ),
            versions.CHOSEN.kwok,
            inputs=configs["stages.yaml"],
        ),
        Program(
            "prometheus",
            (
                str(binaries["prometheus"]),
                f"--config.file={layout.config('prometheus.yaml')}",
                f"--storage.tsdb.path={layout.directory / 'prometheus'}",
                f"--web.listen-address={layout.address('prometheus')}",
                "--web.enable-admin-api",  # a reset deletes the series of earlier tests
                "--log.level=warn",
            ),
            versions.CHOSEN.prometheus,
            inputs=configs["prometheus.yaml"],
        ),
    ]


def _kubernetes_flags(layout: Layout, name: str) -> list[str]:
    kubeconfig = layout.kubeconfig(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={HOST}",
        f"--secure-port={layout.ports[name]}",
        f"--tls-cert-file={layout.pki / name}.crt",
        f"--tls-private-key-file={layout.pki / name}.key",
        "--leader-elect=false",
    ]


def extensions(
    layout: Layout, settings: Settings, binaries: Mapping[str, Path], configs: Mapping[str, str]
) -> list[Program]:
    """What needs CustomResourceDefinitions: Karpenter, KEDA and the stand-ins."""
    karpenter = Program(
        "karpenter",
        (str(binaries["karpenter"]),),
        versions.CHOSEN.karpenter,
        env={
            "KUBECONFIG": str(layout.kubeconfig("karpenter")),
            "DISABLE_LEADER_ELECTION": "true",
            "SYSTEM_NAMESPACE": "kube-system",
            "METRICS_PORT": str(layout.ports["karpenter-metrics"]),
            "HEALTH_PROBE_PORT": str(layout.ports["karpenter-health"]),
            "INSTANCE_TYPES_FILE_PATH": str(layout.config("instance-types.json")),
            "FEATURE_GATES": "StaticCapacity=true,CapacityBuffer=true,NodeOverlay=true",
            "BATCH_IDLE_DURATION": f"{settings.karpenter_batch_idle_s}s",
            "BATCH_MAX_DURATION": f"{settings.karpenter_batch_max_s}s",
        },
        inputs=configs["instance-types.json"],
    )
    return [karpenter, *_keda(layout, binaries), *_standins(layout, settings)]


def _keda(layout: Layout, binaries: Mapping[str, Path]) -> list[Program]:
    kubeconfig = layout.kubeconfig("keda")
    certificates = f"--cert-dir={layout.pki / 'keda-serving'}"
    front_proxy_ca = layout.pki / "front-proxy-ca.crt"
    env = {
        "KUBECONFIG": str(kubeconfig),
        "WATCH_NAMESPACE": "",
        "POD_NAMESPACE": "keda",
        "POD_NAME": "keda-operator",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
    }
    flags = {
        "operator": (
            f"--metrics-bind-address={layout.address('keda-operator-metrics')}",
            f"--health-probe-bind-address={layout.address('keda-operator-health')}",
            f"--metrics-service-bind-address={layout.address('keda-operator-grpc')}",
            "--kube-api-qps=200",
            "--kube-api-burst=300",
        ),
        "adapter": (
            f"--bind-address={HOST}",
            f"--secure-port={layout.ports['keda-adapter']}",
            f"--port={layout.ports['keda-adapter-metrics']}",
            f"--metrics-service-address=localhost:{layout.ports['keda-operator-grpc']}",
            "--metrics-service-grpc-authority=localhost",
            f"--tls-cert-file={layout.pki / 'keda-serving' / 'tls.crt'}",
            f"--tls-private-key-file={layout.pki / 'keda-serving' / 'tls.key'}",
            f"--client-ca-file={front_proxy_ca}",
            f"--requestheader-client-ca-file={front_proxy_ca}",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
        ),
        "webhooks": (
            f"--port={layout.ports['keda-webhooks']}",
            f"--metrics-bind-address={layout.address('keda-webhooks-metrics')}",
            f"--health-probe-bind-address={layout.address('keda-webhooks-health')}",
        ),
    }
    return [
        Program(f"keda-{part}", (str(binaries[f"keda-{part}"]), certificates, *own), versions.CHOSEN.keda, env=env)
        for part, own in flags.items()
    ]


def _standins(layout: Layout, settings: Settings) -> list[Program]:
    common = (f"--kubeconfig={layout.kubeconfig('standins')}",)
    flags = {
        "gpu_operands": (*common, *settings.gpu_operands.split()),
        "vllm_pods": (
            *common,
            f"--network={layout.pod_network}",
            f"--journal={layout.vllm_journal}",
            *settings.vllm_pods.split(),
        ),
    }
    sources = "".join(path.read_text() for path in sorted(_STANDINS.rglob("*.py")))
    return [
        Program(
            name,
            (sys.executable, "-m", f"testbed.standins.{name}", *own),
            "of this checkout",
            env={"PYTHONPATH": str(REPOSITORY / "tests"), "PYTHONUNBUFFERED": "1"},
            inputs=sources,
        )
        for name, own in flags.items()
    ]
