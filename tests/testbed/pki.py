# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bed's certificate authorities, certificates, tokens and kubeconfigs."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.layout import HOST, Layout

# Users by client certificate and their groups. Components have names of their own, so that the audit log
# tells their calls from those of the collection; what they may do is not what the bed tests.
CERTIFICATE_USERS = {
    "admin": "system:masters",
    "converge": "gpufleet:converge",
    "verify": "gpufleet:verify",
    "install": "gpufleet:install",
    "kube-controller-manager": "system:masters",
    "kube-scheduler": "system:masters",
    "kwok": "system:masters",
    "karpenter": "system:masters",
    "keda": "system:masters",
    "prometheus": "system:masters",
    "standins": "system:masters",
}
TOKEN_USERS = ("unprivileged",)

_KEDA_NAMES = ("localhost", "keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc")
_LIFETIME = datetime.timedelta(days=365)


def create(layout: Layout) -> None:
    """Make all keys, certificates and kubeconfigs of a bed. Does nothing when they are there; whole or not at all."""
    if layout.pki.is_dir():
        return
    partial = layout.pki.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    ca = _Authority("gpufleet-bed", partial / "ca")
    ca.issue(partial / "kube-apiserver", "kube-apiserver", names=("localhost", "kubernetes.default.svc"))
    ca.issue(partial / "etcd", "etcd", names=("localhost",))
    for user, group in CERTIFICATE_USERS.items():
        ca.issue(partial / user, user, group=group)
    # The aggregation layer has an authority of its own: whoever holds one of its certificates may name any user.
    front_proxy = _Authority("gpufleet-bed-front-proxy", partial / "front-proxy-ca")
    front_proxy.issue(partial / "front-proxy", "front-proxy")
    _keda_directory(ca, partial)
    _service_account_key(partial)
    _tokens(partial)
    partial.rename(layout.pki)


def write_kubeconfigs(layout: Layout) -> dict[str, Path]:
    """Write one kubeconfig per user; they name the PEM files of the bed. Returns their paths."""
    users: dict[str, dict[str, str]] = {
        user: {
            "client-certificate": str(layout.pki / f"{user}.crt"),
            "client-key": str(layout.pki / f"{user}.key"),
        }
        for user in CERTIFICATE_USERS
    }
    for line in (layout.pki / "tokens.csv").read_text().splitlines():
        token, user, *_ = line.split(",")
        users[user] = {"token": token}
    for user, credentials in users.items():
        _write_kubeconfig(layout, user, credentials)
    return {user: layout.kubeconfig(user) for user in users}


def _write_kubeconfig(layout: Layout, user: str, credentials: dict[str, str]) -> None:
    cluster = f"bed-{layout.name}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {
                    "server": f"https://{layout.address('kube-apiserver')}",
                    "certificate-authority": str(layout.pki / "ca.crt"),
                },
            }
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }
    path = layout.kubeconfig(user)
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


class _Authority:
    """A certificate authority; ``issue`` writes ``<path>.crt`` and ``<path>.key``."""

    def __init__(self, name: str, path: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _certificate(self._name, self._key).issuer_name(self._name).add_extension(constraints, critical=True)
        _write(path, builder.sign(self._key, hashes.SHA256()), self._key)

    def issue(self, path: Path, common_name: str, group: str = "", names: Sequence[str] = ()) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        addresses = x509.IPAddress(ipaddress.ip_address(HOST))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            _certificate(x509.Name(attributes), key)
            .issuer_name(self._name)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([addresses, *map(x509.DNSName, names)]), critical=False)
        )
        _write(path, builder.sign(self._key, hashes.SHA256()), key)


def _certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    # Valid from a day ago: clocks of a virtual machine may step back.
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    path.with_name(path.name + ".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_name(path.name + ".key").write_bytes(_pem(key))


def _keda_directory(ca: _Authority, directory: Path) -> None:
    """KEDA reads ca.crt, tls.crt and tls.key of one directory for its gRPC service, its adapter and its webhooks."""
    (directory / "keda-serving").mkdir()
    ca.issue(directory / "keda-serving" / "tls", "keda", names=_KEDA_NAMES)
    shutil.copy(directory / "ca.crt", directory / "keda-serving" / "ca.crt")


def _service_account_key(directory: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (directory / "service-account.key").write_bytes(_pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (directory / "service-account.pub").write_bytes(public)


def _tokens(directory: Path) -> None:
    lines = [f"{secrets.token_urlsafe(24)},{user},{user}-uid" for user in TOKEN_USERS]
    (directory / "tokens.csv").write_text("\n".join(lines) + "\n")
