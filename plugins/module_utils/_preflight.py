# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the first write: is it the right cluster, and will what is declared work on it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Optional

from ._access import refused_calls
from ._cluster import Cluster
from ._helm import Helm
from ._observe import nodes_of
from .checks.declaration import declaration_findings
from .checks.metrics import Asked, queries_of, series_findings
from .checks.overlays import overlay_findings
from .checks.overrides import room_findings
from .checks.permissions import Target, needed
from .checks.placement import as_divided, model_findings, pool_findings
from .checks.ready_gate import ready_gate_findings
from .checks.scalers import duplicate_scaler_findings
from .checks.scaling import scaling_findings
from .checks.versions import declared_findings, version_findings
from .converge.decisions import decisions
from .converge.plan import is_ours
from .errors import ClusterError, QueryRefused
from .findings import Finding, Severity, errors_first
from .fleet.types import Fleet, Prometheus
from .objects import karpenter, keda, node_class, vllm
from .objects.build import COMPONENTS
from .objects.meta import APP_LABEL, READY_TAINT, Ref, label_of, ref_of
from .readiness.state import title
from .releases.charts import Install, version_of
from .releases.obstacles import release_of

_SCALED_OBJECT = ("keda.sh/v1alpha1", "ScaledObject")
_HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
_RULE = ("readiness.node.x-k8s.io/v1alpha1", "NodeReadinessRule")
_DEPLOYMENT = ("apps/v1", "Deployment")
_NODE_POOL = ("karpenter.sh/v1", "NodePool")
_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
#: What waits look at behind pods on nodes that Karpenter buys; events of Karpenter's objects are in ``default``.
_BEHIND = (("v1", "Node", ""), ("v1", "Event", "default"), ("karpenter.sh/v1", "NodeClaim", ""))
_VERSION_LABEL = "app.kubernetes.io/version"


@dataclass(frozen=True)
class Installed:
    """Where a product says its version: a label of its Deployment, found by its own name label, or of a CRD."""

    name: str
    deployment: str
    definition: str


_INSTALLED: dict[str, Installed] = {
    karpenter.ROLE: Installed("Karpenter", "karpenter", "nodepools.karpenter.sh"),
    keda.ROLE: Installed("KEDA", "keda-operator", "scaledobjects.keda.sh"),
}
#: Not every cluster has it, and no object of ours needs its API: it counts where its Deployment is.
_GPU_OPERATOR = Installed("GPU Operator", "gpu-operator", "")


@dataclass
class Preflight:
    """One run over some components of a fleet.

    ``installs`` are the charts that the same run installs; ``query`` asks Prometheus, which is left alone without it.
    After run(), ``versions`` holds what runs, and ``adopted`` whose it is where the run does not install it.
    """

    cluster: Cluster
    fleet: Fleet
    components: Sequence[str]
    installs: Sequence[Install] = ()
    query: Optional[Callable[[Prometheus, str], Any]] = None
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    versions: dict[str, Optional[str]] = field(default_factory=dict)
    adopted: dict[str, str] = field(default_factory=dict)
    calls_checked: int = 0

    def __post_init__(self) -> None:
        self._built = {name: COMPONENTS[name].build(self.fleet) for name in self.components}
        self._objects = [obj for component in self._built.values() for obj in component]
        self._retired: list[Ref] = []
        self._scaled: Optional[list[dict[str, Any]]] = None

    def run(self) -> list[Finding]:
        """Everything that deserves to be known, errors first. Raises ClusterError."""
        guard = self.cluster.identity_findings(self.fleet.cluster.uid)
        if any(finding.id == "wrong-cluster" for finding in guard):
            return guard
        checks = [self._find_retired, self._missing_apis, self._versions, self._permissions, self._duplicate_scalers]
        checks += [Helm(self.cluster, install).obstacles for install in self.installs]
        checks += [self._ready_gate, self._node_classes] if karpenter.ROLE in self.components else []
        checks += [self._placement] if vllm.ROLE in self.components else []
        checks += [self._prometheus, self._decisions] if keda.ROLE in self.components else []
        found, unread = list(guard), []
        for check in checks:
            try:
                found += check()
            except ClusterError as error:
                unread += error.when_denied(Severity.WARNING)
        # Calls that the run itself needs are named by the access reviews, all of them at once.
        named = any(finding.id == "missing-permission" for finding in found)
        found += scaling_findings(self.fleet, self._built.get(keda.ROLE, []))
        return errors_first([*found, *([] if named else unread), *declaration_findings(self.fleet)])

    def _find_retired(self) -> list[Finding]:
        """Note what the run deletes, because the fleet wants it absent and we own it."""
        absent = {ref for name in self.components for ref in COMPONENTS[name].absent(self.fleet)}
        found = self.cluster.in_parallel(self.cluster.get, sorted(absent, key=str))
        self._retired = [ref_of(obj) for obj in found if obj and is_ours(obj)]
        return []

    def _missing_apis(self) -> list[Finding]:
        kinds = dict.fromkeys((obj["apiVersion"], obj["kind"]) for obj in self._objects)
        brought = tuple(group for install in self.installs for group in install.chart.groups)
        return [
            Finding(
                "missing-api",
                Severity.ERROR,
                f"the cluster does not serve {version}",
                object=kind,
                fix="Install what brings it, as gpufleet_keda_install and gpufleet_karpenter_install do, or correct the"
                " provider.",
            )
            for version, kind in kinds
            if not version.startswith(brought) and not self.cluster.serves(version, kind)
        ]

    def _versions(self) -> list[Finding]:
        server = self.cluster.request("GET", "/version").body.get("gitVersion")
        found: dict[str, Optional[str]] = {"Kubernetes": None if server is None else str(server)}
        wanted = [entry for role, entry in _INSTALLED.items() if self._is_served(role)]
        names = ",".join(entry.deployment for entry in (*wanted, _GPU_OPERATOR))
        selector = {"labelSelector": f"{APP_LABEL} in ({names})"}
        deployments = self.cluster.request("GET", "/apis/apps/v1/deployments", selector).body.get("items") or []
        versions = self.cluster.in_parallel(lambda entry: self._version(entry, deployments), wanted)
        found.update({entry.name: version for entry, version in zip(wanted, versions)})
        operators = _deployments(_GPU_OPERATOR, deployments)
        found.update((_GPU_OPERATOR.name, label_of(obj, _VERSION_LABEL)) for obj in operators)
        replaced = {install.chart.product for install in self.installs}
        self.versions = {**found, "vLLM": self.fleet.versions.vllm}
        self.adopted = {
            entry.name: str(release_of(obj) or "not installed by Helm")
            for entry in (*wanted, _GPU_OPERATOR)
            for obj in _deployments(entry, deployments)
            if entry.name not in replaced
        }
        declared = {install.chart.role: version_of(install, self.fleet) for install in self.installs}
        running = {name: version for name, version in found.items() if name not in replaced}
        buyer = _INSTALLED[karpenter.ROLE]
        gates = overlay_findings(self.fleet, () if buyer.name in replaced else _deployments(buyer, deployments))
        return version_findings(running) + declared_findings({**declared, "vllm": self.fleet.versions.vllm}) + gates

    def _is_served(self, component: str) -> bool:
        return any(self.cluster.serves(obj["apiVersion"], obj["kind"]) for obj in self._built.get(component, ()))

    def _version(self, entry: Installed, deployments: Iterable[Mapping[str, Any]]) -> Optional[str]:
        """From what runs, else from its CRD. Not to be allowed to look is the same as not to know."""
        own = (label_of(obj, _VERSION_LABEL) for obj in _deployments(entry, deployments))
        found = next((version for version in own if version), None)
        if found:
            return found
        crd = self.cluster.request("GET", self.cluster.path(Ref(*_CRD, "", entry.definition)))
        return label_of(crd.body, _VERSION_LABEL)

    def _permissions(self) -> list[Finding]:
        kinds = [kind for name in self.components for kind in COMPONENTS[name].kinds]
        kinds += [(obj["apiVersion"], obj["kind"]) for obj in self._objects]
        workloads = {_namespace(obj) for obj in self._objects if obj["kind"] == "Deployment"}
        scaled = {_namespace(obj) for obj in self._objects if obj["kind"] == "ScaledObject"}
        scalers = [_SCALED_OBJECT, _HPA] if workloads else []
        # A ScaledObject needs its target, and Helm its operator and what that is configured by, before and after.
        read = [(*kind, namespace) for namespace in sorted(scaled) for kind in (_HPA, _DEPLOYMENT)]
        brought = [ref for install in self.installs for ref in install.ready()]
        operators = [(ref.api_version, ref.kind) for ref in brought if (ref.api_version, ref.kind) != _CRD]
        explained = [("v1", kind, name) for name in sorted(workloads) for kind in ("Pod", "Event")]
        bought = bool(workloads) and any(pool.provisioned for pool in self.fleet.pools)
        calls = needed(
            applied=self._targets((obj["apiVersion"], obj["kind"], _namespace(obj)) for obj in self._objects),
            deleted=self._targets((ref.api_version, ref.kind, ref.namespace) for ref in self._retired),
            read=self._targets([*read, *((ref.api_version, ref.kind, ref.namespace) for ref in brought)]),
            listed=self._targets((*kind, "") for kind in [*kinds, *scalers, *operators]),
            explained=self._targets([*explained, *(_BEHIND if bought else ())]),
            looked_at=self._targets([(*_NODE_POOL, "")] if bought else []),
            releases=(install.namespace for install in self.installs),
        )
        self.calls_checked = len(calls)
        return refused_calls(self.cluster, calls)

    def _targets(self, wanted: Iterable[tuple[str, str, str]]) -> list[Target]:
        """Where calls to these (API version, kind, namespace) go; kinds that are not served are left out."""
        targets = []
        for version, kind, namespace in wanted:
            resource = (self.cluster.resources(version) or {}).get(kind)
            if resource is not None:
                targets.append(Target(version.rpartition("/")[0], resource.plural, namespace))
        return targets

    def _duplicate_scalers(self) -> list[Finding]:
        workloads = [obj for obj in self._objects if obj["kind"] == "Deployment"]
        if not workloads:
            return []
        scalers = [*self._scaled_objects(), *self.cluster.list_objects(*_HPA)]
        live = [obj for obj in scalers if ref_of(obj) not in self._retired]
        wanted = [obj for obj in self._objects if obj["kind"] == "ScaledObject"]
        return duplicate_scaler_findings(workloads, live, wanted)

    def _ready_gate(self) -> list[Finding]:
        if not any(pool.provisioned and pool.ready_gate for pool in self.fleet.pools):
            return []
        return ready_gate_findings(self.fleet, self.cluster.list_objects(*_RULE), READY_TAINT)

    def _node_classes(self) -> list[Finding]:
        """Node classes that a pool names have to exist; those that it does not name are made."""
        fleet = self.fleet
        named = [index for index, pool in enumerate(fleet.pools) if pool.provisioned and not node_class.is_made(pool)]
        refs = [node_class.reference(fleet, fleet.pools[index]) for index in named]
        found = self.cluster.in_parallel(self.cluster.get, refs)
        return [
            Finding(
                "object-missing",
                Severity.ERROR,
                f"{ref} does not exist",
                field=f"gpufleet_pools[{index}].node_class",
                fix="Create it, or correct the name.",
            )
            for index, ref, obj in zip(named, refs, found)
            if obj is None
        ]

    def _prometheus(self) -> list[Finding]:
        """What it has for the triggers. Where it does not answer, only a warning: it is KEDA that has to reach it, and
        from another place."""
        prometheus, query = self.fleet.cluster.prometheus, self.query
        scaled = [obj for obj in self._objects if obj["kind"] == "ScaledObject"]
        if query is None or prometheus is None or not scaled:
            return []
        asked = [(obj, entry) for obj in scaled for entry in queries_of(obj, prometheus.in_cluster_url)]
        try:
            query(prometheus, "vector(1)")
            found = self.cluster.in_parallel(lambda entry: self._answer(*entry, prometheus, query), asked)
        except ClusterError as error:
            return [replace(finding, severity=Severity.WARNING) for finding in error.findings]
        return [finding for findings in found for finding in findings]

    def _answer(
        self, obj: Mapping[str, Any], asked: Asked, prometheus: Prometheus, query: Callable[[Prometheus, str], Any]
    ) -> list[Finding]:
        """What is wrong with the answer to one query. One that is refused to us is refused to KEDA as well."""
        try:
            series = len(query(prometheus, asked.query))
        except QueryRefused as error:
            return [replace(finding, object=title(obj), field=asked.path) for finding in error.findings]
        return series_findings(obj, asked, series, self._target(obj), self.now()) if series != 1 else []

    def _target(self, scaled: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
        return self.cluster.get(Ref(*_DEPLOYMENT, _namespace(scaled), scaled["spec"]["scaleTargetRef"]["name"]))

    def _decisions(self) -> list[Finding]:
        """What people decided about the autoscalers, and whether there is room for it."""
        models = {Ref(*_SCALED_OBJECT, model.namespace, model.name): model for model in self.fleet.models}
        standing = decisions((obj for obj in self._scaled_objects() if ref_of(obj) in models), self.now())
        findings = list(standing.findings)
        for ref, override in standing.active.items():
            pools = self.fleet.pools_of(models[ref])
            nodes = {pool.name: len(nodes_of(self.cluster, pool)) for pool in pools if not pool.provisioned}
            findings += room_findings(str(ref), override, models[ref], pools, nodes)
        return findings

    def _scaled_objects(self) -> list[dict[str, Any]]:
        if self._scaled is None:
            self._scaled = self.cluster.list_objects(*_SCALED_OBJECT)
        return self._scaled

    def _placement(self) -> list[Finding]:
        existing = {index: pool for index, pool in enumerate(self.fleet.pools) if not pool.provisioned}
        found = self.cluster.in_parallel(lambda pool: nodes_of(self.cluster, pool), existing.values())
        nodes = {
            pool.name: [as_divided(pool, node) for node in entries] if pool.mig or pool.sharing else entries
            for pool, entries in zip(existing.values(), found)
        }
        findings = [
            finding
            for index, pool in existing.items()
            for finding in pool_findings(f"gpufleet_pools[{index}]", pool, nodes[pool.name])
        ]
        deployments = (obj for obj in self._built[vllm.ROLE] if obj["kind"] == "Deployment")
        for index, (model, built) in enumerate(zip(self.fleet.models, deployments)):
            pod = built["spec"]["template"]["spec"]
            for pool in self.fleet.pools_of(model):
                if pool.name in nodes:
                    findings += model_findings(f"gpufleet_models[{index}]", pool, nodes[pool.name], pod)
        return findings


def _namespace(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _deployments(entry: Installed, deployments: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [obj for obj in deployments if label_of(obj, APP_LABEL) == entry.deployment]
