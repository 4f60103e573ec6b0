"""The plot that README shows, from the numbers beside the page of results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OURS, _OTHERS, _BOUND = "#1f6f8b", "#b8c4c9", "#c0392b"


def draw(data: Mapping[str, Any], path: Path) -> None:
    """Draw what was measured of parts a, b and d, if any of them was.

    :param data: as :mod:`benchmarks.record` keeps it.
    :raises ImportError: without matplotlib.
    """
    numbers = {letter: found["result"]["numbers"] for letter, found in data.items()}
    panels = [(letter, _PANELS[letter]) for letter in _PANELS if letter in numbers]
    if not panels:
        return
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("svg")
    # The same numbers give the same file.
    mpl.rcParams["svg.hashsalt"] = "certbot-caa-guard"
    mpl.rcParams["font.size"] = 9
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 3), squeeze=False)
    for axis, (letter, panel) in zip(axes[0], panels, strict=True):
        panel(axis, numbers[letter])
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _names_a_second(axis: Any, numbers: Mapping[str, Any]) -> None:
    speeds = dict(sorted(numbers["names per second"].items(), key=lambda one: one[1]))
    ours = ["certbot-caa-guard" in who for who in speeds]
    bars = axis.barh(
        list(speeds), list(speeds.values()), color=[_OURS if one else _OTHERS for one in ours]
    )
    axis.bar_label(bars, [f" {speed:,.0f}" for speed in speeds.values()])
    axis.set_xlim(0, max(speeds.values()) * 1.25)
    axis.set_title("names checked in a second")


def _preflight(axis: Any, numbers: Mapping[str, Any]) -> None:
    trips = list(numbers)
    middles = [1000 * sorted(numbers[trip])[len(numbers[trip]) // 2] for trip in trips]
    bounds = [3 * float(trip.split()[0]) + 150 for trip in trips]
    bars = axis.bar(trips, middles, color=_OURS, width=0.5)
    axis.bar_label(bars, [f"{middle:.0f} ms" for middle in middles])
    for place, bound in enumerate(bounds):
        axis.hlines(bound, place - 0.35, place + 0.35, color=_BOUND, linestyle="--")
    axis.set_xlabel("round trip to the resolver")
    axis.set_ylabel("ms (dashed: the bound)")
    axis.set_title("preflight of 100 names")


def _memory(axis: Any, numbers: Mapping[str, Any]) -> None:
    peaks = {int(many): peak for many, peak in numbers["peak MB"].items()}
    axis.plot(list(peaks), list(peaks.values()), "o-", color=_OURS)
    axis.axhline(120, color=_BOUND, linestyle="--")
    axis.set_xscale("log")
    axis.set_ylim(0, max([130, *peaks.values()]))
    axis.set_xlabel("names")
    axis.set_ylabel("MB (dashed: the bound)")
    axis.set_title("peak memory")


_PANELS = {"a": _names_a_second, "b": _preflight, "d": _memory}
