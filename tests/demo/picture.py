# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline as a picture: requests, queue, replicas and nodes above each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from demo.record import Record

# Okabe and Ito's palette, which stays distinct with every kind of colour blindness.
_BLUE, _ORANGE, _GREEN, _SKY, _RED = "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00"
_GREY = "#555555"
_SIZE_INCHES, _DPI = (10.0, 7.4), 120
#: Opaque, so that no line crosses the text.
_LEGEND: dict[str, Any] = {"framealpha": 1.0, "edgecolor": "none"}
#: Phases that the picture shows, and how they are called in it.
_NAMED = {"site.yml": "site.yml", "load": "load", "shrink": "no load", "site.yml again": "site.yml again: changed={}"}


def draw(record: Record, path: Path) -> None:
    """Write the picture as PNG; the axis is in seconds since the start of the first site.yml."""
    pyplot.rcParams.update({"font.size": 12, "axes.spines.top": False, "axes.spines.right": False})
    figure, (arriving, flying, fleet) = pyplot.subplots(
        3, 1, sharex=True, figsize=_SIZE_INCHES, height_ratios=(2, 3, 4), layout="constrained"
    )
    _arrivals(record, arriving)
    _requests(record, flying)
    _fleet(record, fleet)
    _phases(record, (arriving, flying, fleet))
    load = record.load
    figure.suptitle(
        f"{load.sent} requests, {load.aborted} aborted, {load.lost} lost. Up to {record.peak_replicas} replicas on "
        f"{record.peak_nodes} GPU nodes, and back",
        fontsize=14,
        fontweight="bold",
    )
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)


def _arrivals(record: Record, axes: Axes) -> None:
    times = [at - record.samples[0].at for at, _ in record.arrivals]
    axes.bar(times, [count for _, count in record.arrivals], width=1.0, align="edge", color=_SKY)
    axes.set_ylabel("requests\narriving / s")


def _requests(record: Record, axes: Axes) -> None:
    times = _times(record)
    running = [sample.running for sample in record.samples]
    waiting = [sample.waiting for sample in record.samples]
    labels = ("running", "waiting for a place in a batch")
    axes.stackplot(times, running, waiting, colors=(_BLUE, _ORANGE), labels=labels, step="post")
    axes.set_ylabel("requests\nin the fleet")
    axes.legend(loc="upper right", reverse=True, **_LEGEND)


def _fleet(record: Record, axes: Axes) -> None:
    times, samples = _times(record), record.samples
    axes.fill_between(
        times, [each.ready for each in samples], step="post", color=_GREEN, alpha=0.45, label="replicas ready"
    )
    axes.step(
        times, [each.desired for each in samples], where="post", color=_BLUE, lw=2, ls="--", label="replicas wanted"
    )
    axes.step(times, [each.nodes for each in samples], where="post", color=_RED, lw=2.5, label="GPU nodes")
    axes.set_ylim(0, max(each.desired for each in samples) + 0.8)
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.set_ylabel("replicas, nodes")
    axes.set_xlabel("seconds")
    axes.legend(loc="upper right", **_LEGEND)


def _phases(record: Record, panels: tuple[Axes, ...]) -> None:
    began, end = record.samples[0].at, record.samples[-1].at - record.samples[0].at
    panels[-1].set_xlim(0, end)
    shown = [(max(0.0, phase.start - began), _NAMED[phase.name]) for phase in record.phases if phase.name in _NAMED]
    for start, name in shown:
        for axes in panels:
            axes.axvline(start, color=_GREY, lw=1.0, ls=":")
        # The last one is short, and its name would stand out of the picture.
        at, side = (end, "right") if start == shown[-1][0] else (start, "left")
        where = panels[0].get_xaxis_transform()
        panels[0].text(at, 1.04, f" {name.format(record.changed)}", transform=where, ha=side, va="bottom", color=_GREY)


def _times(record: Record) -> list[float]:
    return [sample.at - record.samples[0].at for sample in record.samples]
