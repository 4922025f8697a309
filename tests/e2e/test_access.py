# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to log in, two clusters in one run, and a Prometheus with one address for KEDA and another for us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
import yaml

from e2e import declaration
from e2e.fleet import Fleet
from e2e.guard import guarded
from e2e.observed import path, snapshot
from e2e.playbook import Run
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, Call, writes
from testbed.bed import Bed

AUTH = "gpufleet_cluster.auth"


@pytest.fixture(scope="module")
def logins(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig whose current context may do nothing, with another one, ``right``, that may."""
    configs = {user: yaml.safe_load(Path(bed.kubeconfigs[user]).read_text()) for user in ("unprivileged", "converge")}
    merged = configs["unprivileged"]
    merged["users"] += configs["converge"]["users"]
    (context,) = configs["converge"]["contexts"]
    merged["contexts"].append({**context, "name": "right"})
    file = tmp_path_factory.mktemp("kubeconfig") / "two-contexts.yaml"
    file.write_text(yaml.safe_dump(merged))
    return file


def _certificate(bed: Bed) -> Mapping[str, str]:
    """The login of ``converge`` without any kubeconfig."""
    (user,) = yaml.safe_load(Path(bed.kubeconfigs["converge"]).read_text())["users"]
    return {
        "K8S_AUTH_HOST": bed.api_url,
        "K8S_AUTH_SSL_CA_CERT": bed.ca,
        "K8S_AUTH_CERT_FILE": user["user"]["client-certificate"],
        "K8S_AUTH_KEY_FILE": user["user"]["client-key"],
    }


def test_a_context_other_than_the_current_one(fleet: Fleet, logins: Path, bed: Bed, audit: AuditLog) -> None:
    since = audit.mark()
    chosen = fleet.having(AUTH, {"kubeconfig": str(logins), "context": "right"})
    assert chosen.site("--tags", "preflight", "--check").exit_code == 0
    assert {call.user for call in audit.calls(since)} >= {"converge"}
    refused = fleet.having(AUTH, {"kubeconfig": str(logins)}).site("--tags", "preflight", fails=True).failure
    assert "unprivileged" in refused.result["msg"]


@pytest.mark.parametrize("variables", ["K8S_AUTH_HOST and a certificate", "K8S_AUTH_KUBECONFIG and K8S_AUTH_CONTEXT"])
def test_environment_variables_alone(
    variables: str, fleet: Fleet, logins: Path, bed: Bed, api: Api, audit: AuditLog
) -> None:
    by_file = {"K8S_AUTH_KUBECONFIG": str(logins), "K8S_AUTH_CONTEXT": "right"}
    environment = by_file if "CONTEXT" in variables else _certificate(bed)
    alone = fleet.having(AUTH, None)
    since = audit.mark()
    run = alone.site("--tags", "karpenter", environment=environment)
    assert run.exit_code == 0
    assert {call.user for call in audit.calls(since) if call.resource == "karpenter.sh/nodepools" and call.dry_run} == {
        "converge"
    }
    assert api.get(path("NodePool", "", declaration.POOL))["metadata"]["labels"]["gpufleet.io/cluster"] == "e2e"


@dataclass(frozen=True)
class Asked:
    """A server that passes every GET on, and keeps the paths that it was asked for."""

    url: str
    asked: list[str]


@contextmanager
def _counting(target: str) -> Iterator[Asked]:
    asked: list[str] = []

    class Pass(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            with urlopen(target + self.path, timeout=10) as answer:
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(answer.read())

        def log_message(self, *words: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pass) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Asked(f"http://localhost:{server.server_port}", asked)
        server.shutdown()


@dataclass(frozen=True)
class Both:
    """One run on two clusters; ``west`` has a Prometheus with one URL for KEDA and another for us."""

    run: Run
    beds: Mapping[str, Bed]
    written: Mapping[str, list[Call]]
    in_cluster_url: str
    asked_by_keda: list[str]
    asked_by_us: list[str]


@pytest.fixture(scope="module")
def both(fleet: Fleet, bed: Bed) -> Iterator[Both]:
    with guarded("test-2") as second, _counting(second.prometheus_url) as keda, _counting(second.prometheus_url) as us:
        beds = {"e2e": bed, "west": second}
        clusters = {name: {**declaration.cluster(each), "name": name} for name, each in beds.items()}
        clusters["west"]["prometheus"] = {"in_cluster_url": keda.url, "url": us.url}
        (declared,) = fleet.hosts.values()
        hosts = {name: {**declared, "gpufleet_cluster": each} for name, each in clusters.items()}
        marks = {name: each.audit().mark() for name, each in beds.items()}
        run = Fleet(fleet.folder, hosts).site("--forks", "2")
        written = {name: writes(each.audit().calls(marks[name], "converge")) for name, each in beds.items()}
        yield Both(run, beds, written, keda.url, keda.asked, us.asked)


@pytest.mark.two_beds
def test_two_clusters_converge_in_one_run(both: Both) -> None:
    one, other = ([task for task in both.run.tasks if task.host == name] for name in both.beds)
    assert [task.task for task in one] == [task.task for task in other]
    assert any(left.start < right.end and right.start < left.end for left in one for right in other)
    for name, bed in both.beds.items():
        found = snapshot(bed.api())
        assert {item["metadata.labels.gpufleet.io/cluster"] for item in found.values()} == {name}
        assert both.written[name]
        assert len(bed.api().list(resource_path("v1", "pods", declaration.NAMESPACE))) == 2


@pytest.mark.two_beds
def test_prometheus_has_another_url_for_keda_than_for_us(both: Both) -> None:
    (scaled,) = both.beds["west"].api().list(path("ScaledObject", declaration.NAMESPACE))
    servers = {trigger["metadata"]["serverAddress"] for trigger in scaled["spec"]["triggers"]}
    assert servers == {both.in_cluster_url}
    assert both.asked_by_keda
    assert all("vllm" in each for each in both.asked_by_keda)
    # Preflight asks whether it is there at all, which KEDA never does.
    assert any("vector" in each for each in both.asked_by_us)
    assert both.run.of("wait_for", "west")[-1].result["verdict"] == "ready"
