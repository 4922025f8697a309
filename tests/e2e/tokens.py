# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service account tokens that a bed's API server takes for its own, of any age."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from testbed.api import resource_path
from testbed.bed import Bed


def token(bed: Bed, age_s: int) -> str:
    """A token of kube-system's default account that was issued ``age_s`` seconds ago, for ten minutes."""
    path = resource_path("v1", "serviceaccounts", "kube-system", "default", "token")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    head, body, _ = bed.api().create(path, request)["status"]["token"].split(".")
    issued = int(time.time()) - age_s
    claims = {**json.loads(_decode(body)), "iat": issued, "nbf": issued, "exp": issued + 600}
    signed = f"{head}.{_encode(json.dumps(claims).encode())}"
    pem = (bed.directory / "pki" / "service-account.key").read_bytes()
    key: Any = serialization.load_pem_private_key(pem, None)
    return f"{signed}.{_encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def kubeconfig(file: Path, bed: Bed, user: Mapping[str, str], url: str = "") -> Path:
    """Write a kubeconfig with one user, as a kubeconfig writes it, for a bed or for another URL with its CA."""
    server = {"server": url or bed.api_url, "certificate-authority": bed.ca}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bed", "cluster": server}],
        "users": [{"name": "user", "user": dict(user)}],
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "user"}}],
        "current-context": "bed",
    }
    file.write_text(yaml.safe_dump(content))
    return file


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
