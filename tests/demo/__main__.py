# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m demo`: a fleet converges, load comes and goes, the fleet follows, and a second run changes nothing.

Uses the bed that GPUFLEET_BED names (default: "default"), empties it first and leaves it up.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from demo import picture, site
from demo.record import Phases, Record
from testbed import lifecycle, reset
from testbed.bed import Bed
from testbed.layout import REPOSITORY, default_name
from testbed.readiness import NotReadyError
from testbed.settings import Settings
from testbed.standins.load import LoadOptions, LoadProfile, LoadResult, run_load
from testbed.timeline import Timeline, Watched

_PROFILE = Path(__file__).with_name("profile.yml")
_PICTURE = REPOSITORY / "build" / "demo.png"
_LOAD = LoadOptions(
    seed=1, prompt_tokens="lognormal:512:0.5:2000", output_tokens="lognormal:110:0.4:250", endpoint_lag=1
)
#: GPUs of the only pool's instance type.
_GPUS_PER_NODE = 8
_SHRINK_WITHIN_S = 150.0
_STATUS_S = 3.0


def main() -> int:
    phases = Phases()
    try:
        with phases.phase("bed", "A control plane, KEDA, Karpenter and Prometheus come up"):
            bed = lifecycle.up(default_name(), Settings())
            reset.reset(bed)
        record = _show(bed, phases)
    except (NotReadyError, site.SiteFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    picture.draw(record, _PICTURE)
    print(f"\n== What happened\n{record.table()}\n\n  The picture: {_PICTURE.relative_to(REPOSITORY)}\n{_explore(bed)}")
    return 0 if all(record.promises.values()) else 1


def _show(bed: Bed, phases: Phases) -> Record:
    """Everything after the start of the bed. Raises SiteFailedError."""
    model = Watched.of(site.declared()["gpufleet_models"][0], _GPUS_PER_NODE)
    with Timeline(bed, model) as timeline:
        with phases.phase("site.yml", "ansible-playbook gpufleet.llm.site -i inventories/local"):
            site.run(bed)
        with phases.phase("load", "Load arrives, and goes"):
            load = _replay(bed, model, timeline)
        with phases.phase("shrink", "No load: the fleet shrinks, and its nodes leave"):
            at_rest = _shrink(model, timeline)
        with phases.phase("site.yml again", "The same ansible-playbook again"):
            changed = site.run(bed)
    return Record(model, load, phases, timeline.samples, at_rest, changed)


def _replay(bed: Bed, model: Watched, timeline: Timeline) -> LoadResult:
    profile, stop = LoadProfile.read(_PROFILE), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        load: Future[LoadResult] = pool.submit(run_load, bed.api(), model.namespace, model.name, profile, _LOAD, stop)
        try:
            while not load.done():
                time.sleep(_STATUS_S)
                _report(timeline, profile.rate(time.monotonic() - began))
        finally:
            # An interrupt must not wait for the rest of the profile.
            stop.set()
        return load.result()


def _shrink(model: Watched, timeline: Timeline) -> bool:
    deadline = time.monotonic() + _SHRINK_WITHIN_S
    while not model.is_at_rest(timeline.samples[-1]):
        if time.monotonic() > deadline:
            return False
        time.sleep(_STATUS_S)
        _report(timeline, 0.0)
    return True


def _report(timeline: Timeline, rate: float) -> None:
    now, first = timeline.samples[-1], timeline.samples[0]
    minutes, seconds = divmod(int(now.at - first.at), 60)
    print(
        f"  {minutes}:{seconds:02}  arriving {rate:4.1f}/s   running {now.running:3.0f}  waiting {now.waiting:3.0f}   "
        f"replicas {now.ready} ready of {now.desired}   GPU nodes {now.nodes} of {now.claims} bought",
        flush=True,
    )


def _explore(bed: Bed) -> str:
    own = "" if bed.name == "default" else f"GPUFLEET_BED={bed.name} "
    return f"""
The bed stays up. Look around in it, change inventories/local and run site.yml again, or take it down:
  export KUBECONFIG={bed.kubeconfigs["converge"]} PATH={bed.tools}:$PATH
  kubectl get nodes,pods,scaledobjects,hpa -A
  Prometheus answers at {bed.prometheus_url}/api/v1/query?query=vllm:num_requests_running
  {own}make bed-down"""


if __name__ == "__main__":
    sys.exit(main())
