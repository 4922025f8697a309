# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m testbed.standins.load`: replays a rate profile against the Ready pods of a model.

An interrupt ends the sending, not the requests under way.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from testbed.api import Api

from ..durations import seconds
from .options import BALANCERS, LoadOptions
from .profile import LoadProfile
from .replay import run_load


def main(words: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(words)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    result = run_load(
        Api.from_kubeconfig(options.kubeconfig),
        options.namespace,
        options.model,
        LoadProfile.read(options.profile),
        LoadOptions(
            seed=options.seed,
            even=options.arrivals == "even",
            prompt_tokens=options.prompt_tokens,
            output_tokens=options.output_tokens,
            balance=options.balance,
            endpoint_lag=options.endpoint_lag,
            wait_for_pod=options.wait_for_pod,
            timeout=options.timeout,
        ),
        stop,
    ).as_json()
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    del result["timeline"]
    print(json.dumps(result), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    default = LoadOptions()
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--model", required=True, help="value of the pod label gpufleet.io/model, and model name")
    parser.add_argument("--profile", required=True, type=Path, help="CSV of seconds,rate, or YAML of steps and ramps")
    parser.add_argument("--out", required=True, type=Path, help="the result, as JSON")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--arrivals", choices=("poisson", "even"), default="poisson")
    lengths = "N, LOW..HIGH or lognormal:MEDIAN:SIGMA:MOST"
    parser.add_argument("--prompt-tokens", default=default.prompt_tokens, metavar="LENGTHS", help=lengths)
    parser.add_argument("--output-tokens", default=default.output_tokens, metavar="LENGTHS", help=lengths)
    parser.add_argument("--balance", choices=BALANCERS, default=default.balance)
    parser.add_argument("--endpoint-lag", type=seconds, default=default.endpoint_lag, metavar="DURATION")
    parser.add_argument("--wait-for-pod", action="store_true", help="wait for a ready pod instead of losing a request")
    parser.add_argument("--timeout", type=seconds, default=default.timeout, metavar="DURATION")
    return parser


if __name__ == "__main__":
    main()
