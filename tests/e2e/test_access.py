# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to log in, two clusters in one run, and a Prometheus with one address for KEDA and another for us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from testbed.api import Api, resource_path
from testbed.audit import AuditLog, writes
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


@contextmanager
def _counting(target: str) -> Iterator[tuple[str, list[str]]]:
    """A server that passes every GET on to ``target``: its URL, and the paths that it was asked for."""
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
        yield f"http://localhost:{server.server_port}", asked
        server.shutdown()


def test_prometheus_has_another_url_for_keda_than_for_us(fleet: Fleet, bed: Bed, api: Api) -> None:
    with _counting(bed.prometheus_url) as (url, asked), _counting(bed.prometheus_url) as (in_cluster, asked_in_cluster):
        declared = fleet.having("gpufleet_cluster.prometheus", {"in_cluster_url": in_cluster, "url": url})
        run = declared.site()
    (scaled,) = api.list(path("ScaledObject", declaration.NAMESPACE))
    servers = {trigger["metadata"]["serverAddress"] for trigger in scaled["spec"]["triggers"]}
    assert servers == {in_cluster}
    assert all("kv_cache_usage_perc" in each or "num_requests" in each for each in asked_in_cluster)
    assert asked_in_cluster
    assert asked
    assert not any("vllm" in each for each in asked)
    assert run.of("wait_for")[-1].result["verdict"] == "ready"


@pytest.fixture(scope="module")
def second(pytestconfig: pytest.Config) -> Iterator[Bed]:
    with guarded("test-2") as bed:
        yield bed


@pytest.mark.two_beds
def test_two_clusters_converge_in_one_run(fleet: Fleet, bed: Bed, second: Bed) -> None:
    (declared,) = fleet.hosts.values()
    beds = {"e2e": bed, "west": second}
    clusters = {name: {**declaration.cluster(each), "name": name} for name, each in beds.items()}
    both = Fleet(fleet.folder, {name: {**declared, "gpufleet_cluster": each} for name, each in clusters.items()})
    marks = {name: each.audit().mark() for name, each in beds.items()}
    run = both.site("--forks", "2")
    one, other = ([task for task in run.tasks if task.host == name] for name in beds)
    assert [task.task for task in one] == [task.task for task in other]
    assert any(left.start < right.end and right.start < left.end for left in one for right in other)
    for name, each in beds.items():
        found = snapshot(each.api())
        assert {item["metadata.labels.gpufleet.io/cluster"] for item in found.values()} == {name}
        assert writes(each.audit().calls(marks[name], "converge"))
        assert len(each.api().list(resource_path("v1", "pods", declaration.NAMESPACE))) == 2
    assert both.site("--forks", "2").changed == 0
