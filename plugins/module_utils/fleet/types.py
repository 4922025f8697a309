# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user declares: a Fleet of one cluster, its GPU pools and its models.

Durations are whole seconds, quantities stay as written. The field metadata is the one source of the parser, the docs
tables and the argument specs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

from .fields import (
    LABEL_KEY,
    LABEL_VALUE,
    MODEL_NAME,
    NAME,
    NAMESPACE,
    OBJECT_NAME,
    URL,
    Choice,
    Duration,
    ListOf,
    MapOf,
    NamedRecord,
    Number,
    OneOrMore,
    Quantity,
    Record,
    Text,
    Tree,
    declare,
    integer,
)
from .gpus import Gpu
from .node_classes import NodeClass
from .slices import PROFILE, Mig, ModelSize, Sharing
from .versions import Versions

#: Longest period of an HPA scaling policy and longest stabilisation window: k8s.io/api v0.35 autoscaling/v2.
_POLICY_PERIOD_MAX = 1800
_WINDOW_MAX = 3600


class Provider(str, Enum):
    """Who makes nodes."""

    KWOK = "kwok"
    AWS = "aws"
    AZURE = "azure"
    OTHER = "other"
    NONE = "none"


class CapacityType(str, Enum):
    """How a node is paid for: the values of karpenter.sh/capacity-type in Karpenter v1.14."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    RESERVED = "reserved"


class WarmBy(str, Enum):
    """What keeps a warm node."""

    PLACEHOLDER = "placeholder"


class ReadyGate(str, Enum):
    """Who removes the startup taint of a node whose GPUs are usable."""

    NODE_READINESS_CONTROLLER = "node-readiness-controller"


class DisruptionReason(str, Enum):
    """Why Karpenter v1.14 disrupts a node, as its budgets name it."""

    UNDERUTILIZED = "Underutilized"
    EMPTY = "Empty"
    DRIFTED = "Drifted"


@dataclass(frozen=True)
class SecretKey:
    """One key of a Secret; never its content."""

    name: str = declare(OBJECT_NAME, "Name of the Secret, in the namespace of what uses it.")
    key: str = declare(Text(r"[-._a-zA-Z0-9]{1,253}", "a key of a Secret"), "Key inside the Secret.")


@dataclass(frozen=True)
class Auth:
    """How the controller reaches the API server."""

    kubeconfig: Optional[str] = declare(Text(), "Path of a kubeconfig on the controller.", None)
    context: Optional[str] = declare(Text(), "Context inside the kubeconfig; its current one if absent.", None)


@dataclass(frozen=True)
class PrometheusLabels:
    """Labels that the scrape configuration adds to each series of a pod."""

    namespace: str = declare(
        Text(r"[a-zA-Z_][a-zA-Z0-9_]*", "a Prometheus label name"), "Label that holds the namespace.", "namespace"
    )
    pod: str = declare(
        Text(r"[a-zA-Z_][a-zA-Z0-9_]*", "a Prometheus label name"), "Label that holds the pod name.", "pod"
    )


@dataclass(frozen=True)
class PrometheusCredentials:
    """A bearer token for Prometheus, by reference."""

    secret: Optional[SecretKey] = declare(
        Record(SecretKey), "Secret that KEDA reads the token from, in each model's namespace.", None
    )
    environment: Optional[str] = declare(
        Text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable"),
        "Environment variable of the controller that holds the token.",
        None,
    )


@dataclass(frozen=True)
class Prometheus:
    """The Prometheus that scrapes the models."""

    in_cluster_url: str = declare(URL, "URL at which KEDA reaches Prometheus.")
    url: Optional[str] = declare(URL, "URL at which the controller reaches it; C(in_cluster_url) if absent.", None)
    ca: Optional[str] = declare(Text(), "Path of a CA bundle on the controller for C(url).", None)
    labels: PrometheusLabels = declare(
        Record(PrometheusLabels), "Label names of the scrape configuration.", factory=PrometheusLabels
    )
    credentials: Optional[PrometheusCredentials] = declare(
        Record(PrometheusCredentials), "Bearer token, by reference.", None
    )


@dataclass(frozen=True)
class Cluster:
    """One Kubernetes cluster; in the inventory it is a host."""

    name: str = declare(NAME, "Name of the cluster; stamped on everything that is written.")
    provider: Provider = declare(Choice(Provider), "Who makes nodes: Karpenter with this provider, or C(none).")
    uid: Optional[str] = declare(
        Text(r"[0-9a-f-]{36}", "the uid of the namespace kube-system"),
        "Uid of the namespace kube-system, the guard against the wrong cluster. The first run prints it.",
        None,
    )
    namespace: str = declare(
        NAMESPACE, "Namespace for what belongs to no model, such as warm placeholders.", "gpufleet"
    )
    gpu_operator_namespace: str = declare(NAMESPACE, "Namespace of the GPU Operator.", "gpu-operator")
    auth: Auth = declare(Record(Auth), "How to log in; C(K8S_AUTH_*) variables or in-cluster if absent.", factory=Auth)
    prometheus: Optional[Prometheus] = declare(Record(Prometheus), "Needed for models that scale.", None)


@dataclass(frozen=True)
class Warm:
    """Whole nodes kept ready for the next replica."""

    count: int = declare(integer(0, 1000), "How many nodes.")
    by: WarmBy = declare(
        Choice(WarmBy), "C(placeholder) keeps each by a pod that any model pod preempts.", WarmBy.PLACEHOLDER
    )


@dataclass(frozen=True)
class PoolNodes:
    """Size of a provisioned pool, in nodes."""

    max: int = declare(integer(1, 10000), "Most nodes that Karpenter may buy.")
    warm: Optional[Warm] = declare(Record(Warm), "Nodes kept ready beside those in use.", None)


@dataclass(frozen=True)
class Budget:
    """How many nodes Karpenter may disrupt at once (NodePool v1 ``spec.disruption.budgets``)."""

    nodes: str = declare(Text(r"(100|\d{1,2})%|\d{1,5}", "a count or a percentage in quotes"), "Count or percentage.")
    reasons: tuple[DisruptionReason, ...] = declare(
        ListOf(Choice(DisruptionReason)), "Reasons that it limits; all if absent.", ()
    )
    schedule: Optional[str] = declare(Text(), "Cron schedule at which it starts to hold.", None)
    duration: Optional[int] = declare(Duration(60), "How long it holds from each start.", None)


_DRIFT_ONE_BY_ONE = (Budget(nodes="1", reasons=(DisruptionReason.DRIFTED,)),)


@dataclass(frozen=True)
class Disruption:
    """When Karpenter takes nodes away; always only empty ones, because a GPU pod is too dear to be moved."""

    consolidate_after: int = declare(Duration(0), "How long a node stays after its last pod left.", 600)
    expire_after: Optional[int] = declare(Duration(3600, never=True), "Age at which a node is replaced.", None)
    budgets: tuple[Budget, ...] = declare(
        ListOf(Record(Budget)), "Limits on nodes disrupted at once.", _DRIFT_ONE_BY_ONE
    )


@dataclass(frozen=True)
class GpuPool:
    """Nodes with one kind of GPU: bought by Karpenter (instance types) or already there (node selector).

    After parsing ``gpus_per_node`` is always set, and exactly one of ``instance_types`` and ``node_selector``.
    """

    name: str = declare(NAME, "Name of the pool.")
    gpu: Gpu = declare(Choice(Gpu), "GPU model.")
    gpus_per_node: int = declare(integer(1, 16), "GPUs of one node; known for most instance types.", 0)
    instance_types: tuple[str, ...] = declare(ListOf(Text()), "Instance types that Karpenter may buy.", ())
    capacity_types: tuple[CapacityType, ...] = declare(
        ListOf(Choice(CapacityType)), "How they may be paid for.", (CapacityType.ON_DEMAND,)
    )
    zones: tuple[str, ...] = declare(ListOf(Text()), "Zones to buy in; all if absent.", ())
    node_selector: Mapping[str, str] = declare(
        MapOf(LABEL_KEY, LABEL_VALUE), "Labels of existing nodes; instead of C(instance_types).", factory=dict
    )
    nodes: Optional[PoolNodes] = declare(Record(PoolNodes), "Size of a pool with C(instance_types).", None)
    ready_gate: Optional[ReadyGate] = declare(
        Choice(ReadyGate), "Who removes the startup taint once GPUs are usable; no taint if absent.", None
    )
    disruption: Disruption = declare(Record(Disruption), "When nodes are taken away.", factory=Disruption)
    node_class: Optional[NodeClass] = declare(
        NamedRecord(NodeClass), "Name of an existing node class, or how one is made for this pool.", None
    )
    mig: Optional[Mig] = declare(Record(Mig), "What its GPUs are cut into; left as it is if absent.", None)
    sharing: Optional[Sharing] = declare(Record(Sharing), "Several pods on one GPU.", None)
    weight: Optional[int] = declare(
        integer(1, 100), "Karpenter tries pools of higher weight first, for pods that may use several.", None
    )
    overrides: Mapping[str, Any] = declare(Tree(), "Fields merged last, per kind of object.", factory=dict)

    @property
    def provisioned(self) -> bool:
        """Whether Karpenter buys its nodes."""
        return bool(self.instance_types)


@dataclass(frozen=True)
class Source:
    """Where vLLM loads the weights from."""

    uri: str = declare(Text(), "Model id of a hub, or an absolute path on C(volume).")
    revision: Optional[str] = declare(
        Text(r"[A-Za-z0-9][A-Za-z0-9._/-]*", "a branch, tag or commit"), "Pinned revision of a hub model.", None
    )
    volume: Optional[str] = declare(OBJECT_NAME, "PersistentVolumeClaim mounted read-only that holds a path.", None)
    token: Optional[SecretKey] = declare(Record(SecretKey), "Hub token, in the model's namespace.", None)


@dataclass(frozen=True)
class Engine:
    """The vLLM container."""

    image: Optional[str] = declare(
        Text(r"[\w./-]+(:[0-9]+/[\w./-]+)?(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?", "an image reference"),
        "Image; the project's own in the version of C(gpufleet_versions.vllm) if absent.",
        None,
    )
    args: tuple[str, ...] = declare(ListOf(Text()), "Further arguments of C(vllm serve), one word an entry.", ())
    cpu: str = declare(Quantity(), "CPU request.", "8")
    memory: str = declare(Quantity(), "Memory request and limit. Host memory, not that of the GPU.", "64Gi")
    shm: str = declare(Quantity(), "Size of /dev/shm, for tensor parallel ranks.", "8Gi")


@dataclass(frozen=True)
class Replicas:
    """A fixed ``count``, or ``min`` and ``max`` for the autoscaler."""

    count: Optional[int] = declare(integer(0, 10000), "Fixed number of replicas.", None)
    min: Optional[int] = declare(integer(1, 10000), "Fewest replicas; below 1 nothing is left to wake the model.", None)
    max: Optional[int] = declare(integer(1, 10000), "Most replicas.", None)

    @property
    def autoscaled(self) -> bool:
        """Whether KEDA decides the count."""
        return self.count is None

    @property
    def bounds(self) -> tuple[int, int]:
        """Fewest and most replicas there can be."""
        return (self.min or 1, self.max or 1) if self.autoscaled else (self.count or 0, self.count or 0)


@dataclass(frozen=True)
class ScaleUp:
    """How fast replicas are added."""

    pods: int = declare(integer(1, 1000), "Most replicas added in one period.", 2)
    period: Optional[int] = declare(
        Duration(1, _POLICY_PERIOD_MAX), "Length of the period, at least C(lifecycle.cold_start); that if absent.", None
    )


@dataclass(frozen=True)
class ScaleDown:
    """How slowly replicas are removed."""

    pods: int = declare(integer(1, 1000), "Most replicas removed in one period.", 1)
    period: int = declare(Duration(1, _POLICY_PERIOD_MAX), "Length of the period.", 300)
    window: int = declare(Duration(0, _WINDOW_MAX), "How long the demand must have been lower.", 600)


@dataclass(frozen=True)
class Fallback:
    """What KEDA does while Prometheus does not answer. It never lowers the count."""

    failures: int = declare(integer(1, 100), "Failed queries before it starts.", 3)
    replicas: Optional[int] = declare(
        integer(1, 10000), "Fewest replicas then; C(replicas.min) if absent, more buys GPUs on each outage.", None
    )


@dataclass(frozen=True)
class Scaling:
    """The demand that one replica can carry, and how the count follows it."""

    concurrency: Optional[float] = declare(
        Number(0.001, 100_000),
        "Requests that one replica serves at once within its latency target, as measured.",
        None,
    )
    kv_cache: float = declare(Number(0.001, 1), "Share of the KV cache in use that one replica should have.", 0.85)
    scale_up: ScaleUp = declare(Record(ScaleUp), "How fast replicas are added.", factory=ScaleUp)
    scale_down: ScaleDown = declare(Record(ScaleDown), "How slowly they are removed.", factory=ScaleDown)
    fallback: Fallback = declare(Record(Fallback), "What happens without metrics.", factory=Fallback)


@dataclass(frozen=True)
class Lifecycle:
    """How long the model takes to start, to answer and to end. Probes, grace and budgets follow from these."""

    p99_generation: int = declare(Duration(1, 3600), "99th percentile of one whole answer.", 60)
    cold_start: int = declare(
        Duration(1, _POLICY_PERIOD_MAX), "From a wanted replica to a ready one, new node included.", 480
    )
    pre_stop: int = declare(Duration(0, 600), "From the start of deletion to SIGTERM; load balancers let go here.", 15)
    teardown: int = declare(Duration(1, 600), "From the last answer to the end of the process.", 15)


@dataclass(frozen=True)
class LlmModel:
    """One model, served by replicas of vLLM. After parsing its pools exist."""

    name: str = declare(MODEL_NAME, "Name of the model, and the one that clients ask for.")
    namespace: str = declare(NAMESPACE, "Namespace; made if it does not exist.")
    source: Source = declare(Record(Source), "Where the weights are.")
    pool: tuple[str, ...] = declare(
        OneOrMore(NAME), "Pool that its replicas run on, or several in order of preference."
    )
    replicas: Replicas = declare(Record(Replicas), "How many.")
    gpus: int = declare(integer(1, 16), "GPUs of one replica.", 1)
    slice: Optional[str] = declare(PROFILE, "MIG profile that one replica runs on, instead of C(gpus).", None)
    size: Optional[ModelSize] = declare(Record(ModelSize), "What it takes of GPU memory; not checked if absent.", None)
    engine: Engine = declare(Record(Engine), "The vLLM container.", factory=Engine)
    scaling: Scaling = declare(Record(Scaling), "Needed with C(replicas.min) and C(replicas.max).", factory=Scaling)
    lifecycle: Lifecycle = declare(Record(Lifecycle), "Durations that probes and grace follow.", factory=Lifecycle)
    overrides: Mapping[str, Any] = declare(Tree(), "Fields merged last, per kind of object.", factory=dict)

    @property
    def scale_up_period(self) -> int:
        """Seconds between two additions of replicas: a cold start, unless declared longer."""
        return self.scaling.scale_up.period or self.lifecycle.cold_start


@dataclass(frozen=True)
class Fleet:
    """Everything declared for one cluster."""

    cluster: Cluster
    pools: tuple[GpuPool, ...]
    models: tuple[LlmModel, ...]
    versions: Versions

    def pool(self, name: str) -> GpuPool:
        """The pool of that name. Raises KeyError."""
        return {pool.name: pool for pool in self.pools}[name]

    def pools_of(self, model: LlmModel) -> tuple[GpuPool, ...]:
        """The pools that replicas of a model may run on, the preferred one first."""
        return tuple(self.pool(name) for name in model.pool)
