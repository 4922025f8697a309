# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault proxy passes everything on as it is, but for what it is told to break."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from testbed import layout as layout_module
from testbed import pki
from testbed.api import Api
from testbed.layout import Layout
from testbed.standins.fault_proxy import Answer, Delay, Fault, FaultProxy, Hook, Reset, Rule, Truncate, fault_proxy

BODY = b'{"items": [{"metadata": {"name": "a"}}]}'


@dataclass
class Upstream:
    """An API server that answers everything with BODY, and streams what is asked for with ``watch``."""

    asked: list[tuple[str, str, str | None, str]] = field(default_factory=list)
    more: Event = field(default_factory=Event)


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """Certificates and kubeconfigs of a bed that never runs."""
    folder = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_module, "REPOSITORY", folder)
        layout = Layout("proxied", 1)
        layout.directory.mkdir(parents=True)
        pki.create(layout)
        pki.write_kubeconfigs(layout)
        yield layout


@pytest.fixture
def upstream(beds: Layout) -> Iterator[Upstream]:
    state = Upstream()

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            certificate: Any = self.connection.getpeercert()  # type: ignore[attr-defined]
            user = dict(part[0] for part in certificate["subject"])["commonName"] if certificate else "nobody"
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.asked.append((self.command, self.path, self.headers.get("Authorization"), user))
            self.send_response(200)
            self.send_header("X-Flow", "global-default")
            if "watch" in self.path:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"2\r\n1\n\r\n")
                state.more.wait(10)
                self.wfile.write(b"2\r\n2\n\r\n0\r\n\r\n")
            else:
                self.send_header("Content-Length", str(len(BODY)))
                self.end_headers()
                self.wfile.write(BODY)

        do_GET = do_PATCH = answer

        def log_message(self, *words: object) -> None:
            """Silent."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(beds.pki / "ca.crt"))
    context.load_cert_chain(beds.pki / "kube-apiserver.crt", beds.pki / "kube-apiserver.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads, server.block_on_close = True, False
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for user in ("converge", "unprivileged"):
            _move(beds.kubeconfig(user), server.server_port)
        yield state
        server.shutdown()


def _move(kubeconfig: Path, port: int) -> None:
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    kubeconfig.write_text(yaml.safe_dump(config))


@pytest.fixture
def proxy(upstream: Upstream, beds: Layout, tmp_path: Path) -> Iterator[FaultProxy]:
    with fault_proxy(beds.kubeconfig("converge"), tmp_path) as running:
        yield running


def through(proxy: FaultProxy) -> Api:
    return Api.from_kubeconfig(proxy.kubeconfig)


def test_calls_pass_as_their_user_and_are_counted(proxy: FaultProxy, upstream: Upstream) -> None:
    api = through(proxy)
    assert api.list("/api/v1/nodes", {"labelSelector": "a=b"}) == [{"metadata": {"name": "a"}}]
    api.patch("/api/v1/nodes/a", {"spec": {}})
    assert [(call.number, call.verb, call.target) for call in proxy.calls] == [
        (1, "GET", "/api/v1/nodes?labelSelector=a%3Db"),
        (2, "PATCH", "/api/v1/nodes/a"),
    ]
    assert [(call.verb, call.target, None, "converge") for call in proxy.calls] == upstream.asked
    answer = requests.get(f"{api.url}/version", verify=api._session.verify, cert=api._session.cert, timeout=5)
    assert (answer.headers["X-Flow"], answer.content) == ("global-default", BODY)


def test_tokens_pass(upstream: Upstream, beds: Layout, tmp_path: Path) -> None:
    with fault_proxy(beds.kubeconfig("unprivileged"), tmp_path) as proxy:
        through(proxy).get("/version")
    ((_, _, token, user),) = upstream.asked
    assert token is not None and token.startswith("Bearer ") and user == "nobody"


def test_who_has_not_the_certificate_is_not_let_in(proxy: FaultProxy, upstream: Upstream) -> None:
    api = through(proxy)
    with pytest.raises(requests.RequestException):
        requests.get(f"{api.url}/version", verify=api._session.verify, timeout=5)
    assert upstream.asked == []


def test_events_of_a_watch_pass_one_by_one(proxy: FaultProxy, upstream: Upstream) -> None:
    with through(proxy)._session.get(f"{through(proxy).url}/api/v1/pods?watch=true", stream=True, timeout=5) as answer:
        lines = answer.iter_lines(chunk_size=None)
        assert next(lines) == b"1"
        upstream.more.set()
        assert list(lines) == [b"2"]


def attempt(proxy: FaultProxy) -> str:
    """How one GET ends."""
    api = through(proxy)
    try:
        answer = api._session.get(f"{api.url}/api/v1/nodes", timeout=5)
    except requests.RequestException as error:
        # OpenSSL shows a reset as the end of the connection.
        resets = ("reset by peer", "Remote end closed connection without response")
        return (
            "cut off"
            if "IncompleteRead" in str(error)
            else "reset"
            if any(map(str(error).count, resets))
            else str(error)
        )
    whole = answer.content == BODY
    return f"{answer.status_code}" if whole else f"{answer.status_code} {len(answer.content)} bytes"


@pytest.mark.parametrize(
    ("fault", "outcome", "reached"),
    [
        (Reset(reached=False), "reset", 0),
        (Reset(reached=True), "reset", 1),
        (Truncate(7), "cut off", 1),
        (Truncate(7, told=False), "200 7 bytes", 1),
        (Delay(0.0), "200", 1),
    ],
)
def test_faults(fault: Fault, outcome: str, reached: int, proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.add(Rule(fault))
    assert attempt(proxy) == outcome
    assert len(upstream.asked) == reached
    assert attempt(proxy) == "200"


def test_answers_of_its_own(proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.add(Rule(Answer(429, retry_after_s=3)))
    api = through(proxy)
    answer = api._session.get(f"{api.url}/api/v1/nodes", timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["kind"]) == (429, "3", "Status")
    assert upstream.asked == []


def test_a_delay_comes_before_the_server_hears(proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.add(Rule(Delay(0.3)))
    start = time.monotonic()
    assert attempt(proxy) == "200"
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("reached", [False, True])
def test_a_hook_runs_exactly_then(reached: bool, proxy: FaultProxy, upstream: Upstream) -> None:
    seen: list[int] = []
    proxy.add(Rule(Hook(lambda: seen.append(len(upstream.asked)), reached), first=2))
    assert [attempt(proxy), attempt(proxy), attempt(proxy)] == ["200"] * 3
    assert seen == [2 if reached else 1]


def test_a_client_that_died_in_a_hook_never_sent_its_request(proxy: FaultProxy, upstream: Upstream) -> None:
    gone = Event()
    with closing(_connected(proxy)) as client:
        proxy.add(Rule(Hook(lambda: (client.close(), gone.set()))))
        client.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert gone.wait(5)
    assert attempt(proxy) == "200"
    assert [path for _, path, _, _ in upstream.asked] == ["/api/v1/nodes"]


def _connected(proxy: FaultProxy) -> ssl.SSLSocket:
    api = through(proxy)
    context = ssl.create_default_context(cafile=str(api._session.verify))
    context.load_cert_chain(*api._session.cert)  # type: ignore[misc]
    address = urlsplit(api.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=5)
    return context.wrap_socket(connection, server_hostname=address.hostname)


def test_rules_choose_by_verb_path_and_count(proxy: FaultProxy) -> None:
    api = through(proxy)
    wanted = Rule(Answer(503), verb="PATCH", path=r"/pods/[^?]*\?(?!.*dryRun)", first=2, times=2)
    proxy.add(wanted)
    targets = ("/pods/a?x", "/pods/a?dryRun=All", "/nodes/a?x", "/pods/b?x", "/pods/c?x", "/pods/d?x")
    found = [api._session.patch(api.url + target, json={}, timeout=5).status_code for target in targets]
    assert found == [200, 200, 200, 503, 503, 200]
    assert api._session.get(f"{api.url}/pods/a?x", timeout=5).status_code == 200


def test_the_oldest_of_two_rules_breaks_a_call_and_both_count_it(proxy: FaultProxy) -> None:
    proxy.add(Rule(Answer(503)))
    proxy.add(Rule(Answer(500), first=2))
    api = through(proxy)
    found = [api._session.get(f"{api.url}/version", timeout=5).status_code for _ in range(3)]
    assert found == [503, 500, 200]


def test_a_server_that_is_gone_is_passed_on(beds: Layout, tmp_path: Path) -> None:
    _move(beds.kubeconfig("converge"), 1)
    with fault_proxy(beds.kubeconfig("converge"), tmp_path) as proxy:
        assert attempt(proxy) == "reset"
