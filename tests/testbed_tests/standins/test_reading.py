# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pods, flags, durations and knobs as kubelet and vLLM read them."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.standins.durations import seconds
from testbed.standins.vllm_pods import admission, arguments, knobs, podspec
from testbed.standins.vllm_pods.images import Addresses, listen_address
from testbed.standins.vllm_pods.knobs import Knobs
from testbed.standins.vllm_pods.status import PodStatus

CONTAINER = {
    "name": "vllm",
    "ports": [{"name": "http", "containerPort": 8000}],
    "startupProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5, "failureThreshold": 60},
    "readinessProbe": {"httpGet": {"port": 8000}},
    "resources": {"limits": {"cpu": "4", "nvidia.com/gpu": "2"}},
}
POD = {"spec": {"containers": [{"name": "proxy"}, CONTAINER]}}


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0.0), ("250ms", 0.25), ("1m30s", 90.0), ("1h", 3600.0), ("1.5s", 1.5)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-1s", "1d", "1s5"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


def test_vllm_container_by_name_else_the_first() -> None:
    assert podspec.vllm_container(POD) is CONTAINER
    assert podspec.vllm_container({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}})["name"] == "a"


def test_probes_get_the_defaults_of_the_api() -> None:
    startup = podspec.probe(CONTAINER, "Startup")
    assert startup == podspec.Probe("Startup", "/health", 8000, 0, 5, 60)
    assert podspec.probe(CONTAINER, "Readiness") == podspec.Probe("Readiness", "/", 8000, 0, 10, 3)
    assert podspec.probe(CONTAINER, "Liveness") is None


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ({}, 0.0),
        ({"sleep": {"seconds": 15}}, 15.0),
        ({"exec": {"command": ["sleep", "20"]}}, 20.0),
        ({"exec": {"command": ["/bin/sh", "-c", "echo bye; sleep 7"]}}, 7.0),
        ({"exec": {"command": ["sh", "-c", "sleep 1m; true"]}}, 60.0),
        ({"exec": {"command": ["true"]}}, 0.0),
        ({"httpGet": {"port": 1}}, 0.0),
    ],
)
def test_pre_stop(hook: dict[str, Any], expected: float) -> None:
    assert podspec.pre_stop({"lifecycle": {"preStop": hook}}) == expected


@pytest.mark.parametrize(
    ("grace", "hook", "split"),
    [(30.0, 5.0, (5.0, 25.0)), (30.0, 0.0, (0.0, 30.0)), (10.0, 60.0, (10.0, 2.0)), (0.0, 5.0, (0.0, 2.0))],
)
def test_the_hook_is_paid_from_the_grace_period(grace: float, hook: float, split: tuple[float, float]) -> None:
    assert podspec.split_grace(grace, hook) == split


@pytest.mark.parametrize(
    ("allocatable", "has_gpu", "rejected"),
    [
        ({"nvidia.com/gpu": "8"}, True, False),
        ({"nvidia.com/gpu": "2"}, True, False),
        # Registered, but too few: refused. Never registered: admitted without a device, which no restart mends.
        ({"nvidia.com/gpu": "1"}, False, True),
        ({"nvidia.com/gpu": "0"}, False, True),
        ({"cpu": "64"}, False, False),
    ],
)
def test_admission(allocatable: dict[str, str], has_gpu: bool, rejected: bool) -> None:
    found = admission.admit(POD, {"status": {"allocatable": allocatable}})
    assert (found.has_gpu, bool(found.rejection)) == (has_gpu, rejected)


def test_a_pod_without_gpu_request_needs_none() -> None:
    assert admission.admit({"spec": {"containers": [{"name": "vllm"}]}}, {}).has_gpu


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    old = "2020-01-01T00:00:00Z"
    known = [{"type": kind, "status": "True", "lastTransitionTime": old} for kind in ("Initialized", "Ready")]
    pod = {"spec": {"containers": [{"name": "vllm", "image": "i"}]}, "status": {"conditions": known}}
    written = {each["type"]: each for each in PodStatus(pod).as_json(1)["status"]["conditions"]}
    assert written["Initialized"]["lastTransitionTime"] == old
    assert (written["Ready"]["status"], written["Ready"]["lastTransitionTime"] > old) == ("False", True)


def test_flags_in_both_spellings() -> None:
    words = ["vllm", "serve", "org/model", "--max-num-seqs=16", "--max_model_len", "8K", "--enforce-eager"]
    parsed = arguments.parse([*words, "--served-model-name", "llama", "alias", "--shutdown-timeout", "45"])
    assert parsed == arguments.Arguments(
        model="org/model", served_model_name="llama", max_num_seqs=16, max_model_len=8192, shutdown_timeout_s=45
    )


def test_the_image_brings_the_command() -> None:
    words = arguments.container_words({"args": ["org/model", "--port", "9000", "--max-model-len", "8k"]})
    parsed = arguments.parse(words)
    assert (parsed.model, parsed.served_model_name, parsed.port, parsed.max_model_len) == (
        "org/model",
        "org/model",
        9000,
        8000,
    )


def test_a_shell_around_it() -> None:
    parsed = arguments.parse(["sh", "-c", "exec vllm serve /m --served-model-name 'a b'"])
    assert (parsed.model, parsed.served_model_name) == ("/m", "a b")
    module = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "/m", "--max-model-len", "auto"]
    assert arguments.parse(module).model == "/m"


@pytest.mark.parametrize("words", [["vllm", "serve"], ["vllm", "serve", "m", "--port", "x"], []])
def test_flags_that_vllm_refuses(words: list[str]) -> None:
    with pytest.raises(arguments.ArgumentError):
        arguments.parse(words)


def test_annotations_override_knobs() -> None:
    annotations = {"testbed.gpufleet.io/load": "3m", "testbed.gpufleet.io/on-abort": "hang", "other": "x"}
    changed = knobs.for_pod(Knobs(pull=7.0), annotations)
    assert (changed.pull, changed.load, changed.on_abort) == (7.0, 180.0, "hang")
    assert knobs.for_pod(Knobs(), {}) == Knobs()


@pytest.mark.parametrize(("name", "value"), [("load", "soon"), ("on-abort", "maybe"), ("kv-tokens", "1.5")])
def test_an_annotation_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"annotation testbed.gpufleet.io/{name}"):
        knobs.for_pod(Knobs(), {f"testbed.gpufleet.io/{name}": value})


def test_addresses_are_unique_and_reused_late() -> None:
    addresses = Addresses("127.5")
    addresses.reserve("10.5.0.2")
    first, second = addresses.allocate(), addresses.allocate()
    assert (first, second) == ("10.5.0.3", "10.5.0.4")
    addresses.release(first)
    assert addresses.allocate() == "10.5.0.5"
    assert listen_address("10.5.10.3") == "127.5.10.3"


@pytest.mark.parametrize("network", ["10.5", "127", "127.x", ""])
def test_networks_that_are_none(network: str) -> None:
    with pytest.raises(ValueError, match="127.A"):
        Addresses(network)
