# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client asks little, retries only what may pass, and turns every failure into one line."""

from __future__ import annotations

import ssl
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils import _cluster
from ansible_collections.gpufleet.llm.plugins.module_utils._cluster import Cluster, Reply
from ansible_collections.gpufleet.llm.plugins.module_utils.errors import ClusterError
from ansible_collections.gpufleet.llm.plugins.module_utils.objects.meta import Ref
from ansible_collections.gpufleet.llm.tests.unit.plugins.module_utils.fake_api import Answer, FakeApi, status

urllib3 = pytest.importorskip("urllib3")
pytest.importorskip("kubernetes")

SERVICE = Ref("v1", "Service", "inference", "llama")
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"pool": "a"}}, "spec": {}}


def anything(call: Any) -> bool:
    """Every call."""
    return True


def reset() -> Exception:
    """A connection that is cut."""
    return urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer"))


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_later_is_tried_again_with_growing_pauses(code: int) -> None:
    api = FakeApi()
    api.fail(anything, *[status(code, "later")] * 3)
    assert api.cluster().request("GET", "/api/v1").ok
    assert api.sleeps == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422])
def test_a_verdict_is_not_asked_for_twice(code: int) -> None:
    api = FakeApi()
    api.fail(anything, status(code, "no"))
    reply = api.cluster().request("GET", "/api/v1")
    assert (reply.status, reply.ok, reply.message) == (code, False, "no")
    assert (len(api.calls), api.sleeps) == (1, [])


def test_an_internal_error_is_given_two_seconds() -> None:
    api = FakeApi()
    api.fail(anything, *[status(500, "no")] * 9)
    assert api.cluster().request("GET", "/api/v1").status == 500
    assert api.sleeps == [0.5, 1.0]


def test_patience_is_bounded_and_the_last_answer_is_the_answer() -> None:
    api = FakeApi()
    api.fail(anything, *[status(503, "later")] * 99)
    assert api.cluster().request("GET", "/api/v1").status == 503
    assert 20 < sum(api.sleeps) <= 45
    assert max(api.sleeps) == 4


def test_patience_can_be_shorter() -> None:
    for code in (500, 503):
        api = FakeApi()
        api.fail(anything, *[status(code, "later")] * 9)
        assert replace(api.cluster(), patience_s=1.0).request("GET", "/api/v1").status == code
        assert api.sleeps == [0.5]


@pytest.mark.parametrize(
    ("code", "fix"), [(403, "Grant the verb"), (429, "FlowSchema"), (404, "API server's log, then run again")]
)
def test_an_answer_of_no_use_comes_with_a_way_out(code: int, fix: str) -> None:
    assert fix in FakeApi().cluster().failed("Node list", Reply(code, {"message": "no"})).line()


def test_a_server_that_was_away_may_not_know_its_roles_yet() -> None:
    api = FakeApi()
    cluster = api.cluster()
    api.fail(anything, reset(), status(403, "forbidden"), status(403, "forbidden"))
    assert cluster.request("GET", "/api/v1").ok
    api.fail(anything, reset(), *[status(403, "forbidden")] * 9)
    assert cluster.request("GET", "/api/v1").status == 403
    assert len(api.calls) < 12


@pytest.mark.parametrize("body", [b"", b'{"items": [', b"[]", b"<html>Log in</html>"])
def test_half_an_answer_is_none(body: bytes) -> None:
    api = FakeApi()
    api.fail(anything, Answer(200, body))
    api.add(NODE)
    assert len(api.cluster().list_objects("v1", "Node")) == 1
    api.fail(anything, *[Answer(200, body)] * 99)
    with pytest.raises(ClusterError, match="cannot be reached: 200 with something that is not a whole JSON object"):
        api.cluster().list_objects("v1", "Node")


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("2", 2.0),
        ("0", 0.5),
        ("3600", 15.0),
        ("-1", 0.5),
        ("nan", 0.5),
        ("1e9", 0.5),
        ("Wed, 21 Oct 2026", 0.5),
        ("", 0.5),
    ],
)
def test_the_server_may_ask_for_a_pause_within_reason(header: str, pause: float) -> None:
    api = FakeApi()
    api.fail(anything, Answer(429, {}, {"Retry-After": header}))
    assert api.cluster().request("GET", "/api/v1").ok
    assert api.sleeps == [pause]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_cut_connection_is_tried_again(method: str) -> None:
    api = FakeApi()
    api.fail(anything, reset(), reset())
    body = {"metadata": {"name": "n"}} if method == "PATCH" else None
    api.cluster().request(method, "/api/v1/namespaces/n", {"fieldManager": "a", "force": "false"}, body)
    assert (len(api.calls), api.sleeps) == (3, [0.5, 1.0])


def refused(error: Exception, times: int = 99) -> tuple[ClusterError, FakeApi]:
    """What a client makes of a server that never answers."""
    api = FakeApi()
    api.fail(anything, *[error] * times)
    with pytest.raises(ClusterError) as raised:
        api.cluster().request("GET", "/api/v1")
    return raised.value, api


def test_no_server_is_one_line_that_says_where_and_why() -> None:
    connection = urllib3.connection.HTTPSConnection("api.example.com")
    error, api = refused(urllib3.exceptions.NewConnectionError(connection, "[Errno 111] Connection refused"))
    assert error.line().startswith("API server: https://api.example.com:6443 cannot be reached: ")
    assert "Connection refused" in error.line() and "0x" not in error.line() and "\n" not in error.line()
    assert "gpufleet_cluster.auth" in error.findings[0].fix
    assert 20 < api.clock() <= 45


def test_a_wrong_certificate_is_not_tried_again() -> None:
    error, api = refused(urllib3.exceptions.SSLError("certificate verify failed: self-signed certificate"))
    assert "self-signed" in error.line()
    assert (len(api.calls), api.sleeps) == (1, [])


def test_a_wrong_host_name_is_not_tried_again() -> None:
    wrong = urllib3.exceptions.NewConnectionError(None, "[Errno -2] Name or service not known")  # type: ignore[arg-type]
    error, api = refused(wrong)
    assert "Name or service not known" in error.line()
    assert (len(api.calls), api.sleeps) == (1, [])


def test_a_server_that_leaves_while_tls_is_set_up_may_come_back() -> None:
    api = FakeApi()
    api.fail(anything, urllib3.exceptions.SSLError(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")))
    assert api.cluster().request("GET", "/api/v1").ok


def test_a_server_that_has_not_read_its_roles_yet_is_asked_again() -> None:
    api, message = FakeApi(), 'User "converge" cannot get path "/api/v1"'
    api.fail(anything, *[status(403, message)] * 3)
    assert api.cluster().request("GET", "/api/v1").ok
    api.fail(anything, *[status(403, message)] * 99)
    assert api.cluster().request("GET", "/api/v1").status == 403
    assert api.clock() < 20


def test_an_expired_login_is_told_at_once() -> None:
    api = FakeApi()
    api.fail(anything, status(401, "Unauthorized"))
    with pytest.raises(ClusterError, match="refuses the credentials .401 Unauthorized.. Log in anew") as raised:
        api.cluster().get(SERVICE)
    assert (raised.value.findings[0].id, len(api.calls)) == ("unauthorized", 1)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(500, b"<html>\n<h1>nginx</h1>"), "<html> <h1>nginx</h1>"),
        (Answer(500, b""), ""),
        (Answer(500, b"[1]"), "[1]"),
        (Answer(500, b"\xff"), "\ufffd"),
        (Answer(500, {"message": None}), "HTTP 500"),
        (Answer(500, {"message": "a\n  b"}), "a b"),
    ],
)
def test_answers_that_are_no_status_are_still_words(answer: Answer, message: str) -> None:
    api = FakeApi()
    api.fail(anything, *[answer] * 3)
    assert api.cluster().request("GET", "/api/v1").message in (message, "HTTP 500")


def test_discovery_is_asked_once_and_knows_what_is_not_served() -> None:
    api = FakeApi("keda.sh/v1alpha1")
    cluster = api.cluster()
    for attempt in range(3):
        assert not cluster.serves("keda.sh/v1alpha1", "ScaledObject"), attempt
        assert cluster.serves("v1", "Service") and not cluster.serves("v1", "Scale")
    assert [call.path for call in api.calls] == ["/apis/keda.sh/v1alpha1", "/api/v1"]


def test_discovery_finds_each_kind_in_the_most_preferred_version_that_has_it() -> None:
    api = FakeApi()
    api.kinds["keda.sh/v1alpha2"] = {"ScaledObject": ("scaledobjects", True), "Newer": ("newers", True)}
    cluster = api.cluster()
    found = [(version, kind) for version, kind in cluster.discover() if version.startswith("keda.sh/")]
    assert sorted(found) == [
        ("keda.sh/v1alpha1", "ScaledObject"),
        ("keda.sh/v1alpha1", "TriggerAuthentication"),
        ("keda.sh/v1alpha2", "Newer"),
    ]
    assert cluster.path(Ref("keda.sh/v1alpha2", "Newer", "n", "")) == "/apis/keda.sh/v1alpha2/namespaces/n/newers"


def test_a_missing_api_is_named_with_a_way_out() -> None:
    with pytest.raises(
        ClusterError, match="ScaledObject: the cluster does not serve keda.sh/v1alpha1. Install"
    ) as raised:
        FakeApi("keda.sh/v1alpha1").cluster().path(Ref("keda.sh/v1alpha1", "ScaledObject", "n", "a"))
    assert raised.value.findings[0].id == "missing-api"


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (SERVICE, "/api/v1/namespaces/inference/services/llama"),
        (Ref("apps/v1", "Deployment", "n", ""), "/apis/apps/v1/namespaces/n/deployments"),
        (Ref("apps/v1", "Deployment", "", ""), "/apis/apps/v1/deployments"),
        (Ref("v1", "Node", "ignored", "a"), "/api/v1/nodes/a"),
    ],
)
def test_paths(ref: Ref, path: str) -> None:
    assert FakeApi().cluster().path(ref) == path


def test_get_tells_absent_from_refused() -> None:
    api = FakeApi("keda.sh/v1alpha1")
    cluster = api.cluster()
    assert cluster.get(SERVICE) is None
    assert cluster.get(Ref("keda.sh/v1alpha1", "ScaledObject", "n", "a")) is None
    api.fail(lambda call: call.path.endswith("llama"), status(403, 'services "llama" is forbidden'))
    with pytest.raises(ClusterError, match="Service inference/llama: services .llama. is forbidden. Grant") as raised:
        cluster.get(SERVICE)
    assert raised.value.findings[0].id == "missing-permission"


def test_lists_are_filtered_and_whole() -> None:
    api = FakeApi("keda.sh/v1alpha1")
    api.add(NODE)
    cluster = api.cluster()
    (found,) = cluster.list_objects("v1", "Node", labels="pool=a")
    assert (found["apiVersion"], found["kind"], found["metadata"]["name"]) == ("v1", "Node", "n1")
    assert cluster.list_objects("v1", "Node", labels="pool=b") == []
    assert cluster.list_objects("keda.sh/v1alpha1", "ScaledObject") == []
    assert api.calls[1].query == {"labelSelector": "pool=a"}


def test_an_apply_is_strict_and_says_who_and_whether() -> None:
    api = FakeApi()
    api.cluster().apply(Ref("v1", "Node", "", "n1"), NODE, "gpufleet", dry_run=True)
    call = api.calls[-1]
    assert call.query == {"fieldManager": "gpufleet", "force": "false", "fieldValidation": "Strict", "dryRun": "All"}
    assert call.headers["Content-Type"] == "application/apply-patch+yaml"
    assert api.objects == {} and api.writes() == []


def test_parallel_results_keep_their_order_and_errors_come_out() -> None:
    cluster: Cluster = FakeApi().cluster()
    assert cluster.in_parallel(lambda number: number * 2, range(20)) == list(range(0, 40, 2))
    assert cluster.in_parallel(str, []) == []
    with pytest.raises(ZeroDivisionError):
        cluster.in_parallel(lambda number: 1 // number, [1, 0, 2])


@pytest.mark.parametrize(
    ("code", "ok"), [(200, True), (201, True), (299, True), (199, False), (302, False), (404, False)]
)
def test_what_counts_as_done(code: int, ok: bool) -> None:
    assert Reply(code, {}).ok is ok


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: one, user: one}}
- {name: two, context: {cluster: two, user: one}}
clusters:
- {name: one, cluster: {server: "https://one.example.com"}}
- {name: two, cluster: {server: "https://two.example.com"}}
users:
- {name: one, user: {token: sesame}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kubeconfig with two contexts, and no login from elsewhere."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "K8S_AUTH_KUBECONFIG", "K8S_AUTH_CONTEXT", "K8S_AUTH_HOST"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("options", "environment", "url"),
    [
        ({}, {}, "https://one.example.com"),
        ({"context": "two"}, {}, "https://two.example.com"),
        ({}, {"K8S_AUTH_CONTEXT": "two"}, "https://two.example.com"),
        ({"context": "one"}, {"K8S_AUTH_CONTEXT": "two"}, "https://one.example.com"),
    ],
)
def test_login_by_option_then_by_environment(
    kubeconfig: str, monkeypatch: pytest.MonkeyPatch, options: Any, environment: Any, url: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    cluster = _cluster.connect({"kubeconfig": kubeconfig, "context": None, **options})
    assert cluster.url == url
    api = FakeApi()
    cluster.http = api
    cluster.request("GET", "/api/v1")
    assert api.calls[0].headers["authorization"] == "Bearer sesame"


@pytest.mark.parametrize("content", [None, "", "{", "[1]", "a: b"])
def test_a_useless_kubeconfig_is_one_line(kubeconfig: str, content: str | None) -> None:
    path = Path(kubeconfig)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(ClusterError) as raised:
        _cluster.connect({"kubeconfig": kubeconfig, "context": None})
    line = raised.value.line()
    assert line.startswith("gpufleet_cluster.auth: no usable login: ") and "\n" not in line


def test_an_unknown_context_is_one_line(kubeconfig: str) -> None:
    with pytest.raises(ClusterError, match="gpufleet_cluster.auth: no usable login: .*three"):
        _cluster.connect({"kubeconfig": kubeconfig, "context": "three"})


def test_the_module_loads_where_kubernetes_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(sys.modules[_cluster.__name__].__file__ or "").read_text()
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    scope: dict[str, Any] = {"__name__": _cluster.__name__, "__package__": _cluster.__package__}
    exec(compile(source, "_cluster.py", "exec"), scope)  # noqa: S102
    assert "kubernetes" in scope["IMPORT_ERROR"]
