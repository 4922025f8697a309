# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy itself: HTTP/1.1 over TLS on both sides, one connection to the server for each of a client's."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import yaml

from testbed.layout import HOST
from testbed.standins.fault_proxy.rules import Answer, Call, Delay, Fault, Hook, Reset, Rule, Rules, Truncate

_TIMEOUT_S = 300.0
#: How soon it notices that it shall end.
_POLL_S = 0.05
#: They concern one connection, and each side has its own.
_HOP_BY_HOP = ("connection", "host", "keep-alive", "transfer-encoding", "content-length")
_CHUNK = 65536


class FaultProxy:
    """A running proxy. ``kubeconfig`` is the user's, with the address of the proxy."""

    def __init__(self, kubeconfig: Path, rules: Rules) -> None:
        self.kubeconfig = kubeconfig
        self._rules = rules

    @property
    def calls(self) -> list[Call]:
        """Every call so far, broken ones too."""
        return self._rules.calls

    def add(self, rule: Rule) -> None:
        """Break calls from now on."""
        self._rules.add(rule)


@contextmanager
def fault_proxy(kubeconfig: str | Path, folder: Path) -> Iterator[FaultProxy]:
    """A proxy before the API server of a bed's kubeconfig; ``folder`` takes the kubeconfig that leads through it.

    A client certificate cannot be passed on: the proxy asks for it as the server does, and shows it to the server
    itself. Tokens and impersonation are headers, and pass.
    """
    config = yaml.safe_load(Path(kubeconfig).read_text())
    (cluster,), (user,) = ([entry[kind] for entry in config[f"{kind}s"]] for kind in ("cluster", "user"))
    target = _Target(urlsplit(cluster["server"]).netloc, _client_side(cluster, user))
    rules = Rules()
    with _Server(target, rules, _server_side(cluster, user)) as server:
        Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True).start()
        cluster["server"] = f"https://{HOST}:{server.server_port}"
        file = folder / f"through-{server.server_port}.yaml"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        try:
            yield FaultProxy(file, rules)
        finally:
            server.shutdown()


def _client_side(cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    return context


def _server_side(cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    authority = Path(cluster["certificate-authority"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.with_name("kube-apiserver.crt"), authority.with_name("kube-apiserver.key"))
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED if "client-certificate" in user else ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class _Target:
    address: str
    context: ssl.SSLContext

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.address, context=self.context, timeout=_TIMEOUT_S)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, target: _Target, rules: Rules, context: ssl.SSLContext) -> None:
        self.target, self.rules = target, rules
        super().__init__((HOST, 0), _Connection)
        # The handshake is left to the connection's thread, or one silent client would hold up all others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ended: by us, by a client that was killed, or by the server."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = self.server.target.connect()

    def finish(self) -> None:
        self._upstream.close()
        with suppress(OSError):
            super().finish()

    def log_message(self, *words: object) -> None:
        """Silent: tests look at the calls."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.rules.take(self.command, self.path)
        if isinstance(fault, Delay):
            time.sleep(fault.seconds)
        elif isinstance(fault, Hook) and not fault.reached:
            fault.action()
            if self._client_is_gone():
                self._reset()
                return
        elif isinstance(fault, Answer):
            self._answer(fault)
            return
        elif isinstance(fault, Reset) and not fault.reached:
            self._reset()
            return
        answer = self._ask(body)
        if answer is None:
            self._reset()
        else:
            self._reply(answer, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    def _client_is_gone(self) -> bool:
        """One that waits for an answer sends nothing but its end."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def _ask(self, body: bytes) -> http.client.HTTPResponse | None:
        """What the server answers; None when it does not, which the client has to see as such."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            self._upstream.request(self.command, self.path, body or None, headers)
            return self._upstream.getresponse()
        except (OSError, http.client.HTTPException):
            return None

    def _reply(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        if isinstance(fault, Hook) and fault.reached:
            fault.action()
        if isinstance(fault, Reset):
            self._reset()
        elif isinstance(fault, Truncate):
            self._truncated(answer, fault)
        elif answer.length is None:
            self._stream(answer)
        else:
            body = answer.read()
            self._head(answer, "Content-Length", str(len(body)))
            self.wfile.write(body)

    def _head(self, answer: http.client.HTTPResponse, name: str, value: str) -> None:
        self.send_response_only(answer.status, answer.reason)
        for header, content in answer.getheaders():
            if header.lower() not in _HOP_BY_HOP:
                self.send_header(header, content)
        self.send_header(name, value)
        self.end_headers()

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        """Chunks as they come: a watch never ends, and its client wants each event at once."""
        self._head(answer, "Transfer-Encoding", "chunked")
        while chunk := answer.read1(_CHUNK):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _truncated(self, answer: http.client.HTTPResponse, fault: Truncate) -> None:
        body = answer.read()
        kept = body[: fault.keep]
        self._head(answer, "Content-Length", str(len(body if fault.told else kept)))
        self.wfile.write(kept)
        self.close_connection = True

    def _answer(self, fault: Answer) -> None:
        message = f"the fault proxy answers {fault.status}"
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.status, "message": message}
        body = json.dumps(status).encode()
        self.send_response_only(fault.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if fault.retry_after_s is not None:
            self.send_header("Retry-After", str(fault.retry_after_s))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Without a FIN and without the end of TLS, as a server's death looks."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
