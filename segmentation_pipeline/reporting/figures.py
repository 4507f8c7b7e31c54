"""The plots of a sweep and of single customers, as PNG bytes: readable at UI size, colour-blind safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.reporting import style
from segmentation_pipeline.reporting.style import GREY, INK, PALETTE, SLATE, segment_colour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from segmentation_pipeline.model import SilhouetteSample, SweepResult

__all__ = ["draw_distances", "draw_scatter", "draw_silhouettes", "draw_sweep", "segment_colour"]

_LINE: Final = 0.15  # inches for a line of a cluster's label
_FEW: Final = 6  # up to this number of clusters a label has two lines
_AROUND: Final = 0.9  # inches for title and axis
_MOST_ROWS: Final = 200_000  # with more rows a box looks the same
_TICKS: Final = 5  # at most, about, on an axis
_GAP: Final = 0.01  # between clusters, as a share of all customers


def draw_sweep(sweep: SweepResult) -> bytes:
    """Draw inertia and silhouette by K in one figure, with the chosen K marked."""
    figure = style.make_canvas(3.6)
    left = figure.subplots()
    ks = [candidate.k for candidate in sweep.candidates]
    inertias = [candidate.inertia for candidate in sweep.candidates]
    left.plot(ks, inertias, color=PALETTE[0], marker="o", label="inertia (left)")
    left.set_xlabel("number of clusters K")
    left.set_ylabel("inertia", color=PALETTE[0])
    left.set_xticks(ks)
    left.set_ylim(bottom=0)
    left.locator_params(axis="y", nbins=_TICKS)
    right = left.twinx()
    right.errorbar(
        ks,
        [candidate.silhouette for candidate in sweep.candidates],
        yerr=[candidate.silhouette_error for candidate in sweep.candidates],
        color=PALETTE[5],
        marker="s",
        label="silhouette (right)",
    )
    right.set_ylabel("silhouette", color=PALETTE[5])
    right.locator_params(axis="y", nbins=_TICKS)
    left.axvline(sweep.k, color=GREY, linestyle="--", zorder=0)
    left.set_title(f"chosen: K = {sweep.k}", fontsize=11)
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    left.legend(handles=handles, frameon=False, loc="upper right")
    return style.to_png(figure)


def draw_scatter(
    points: NDArray[np.float64],
    segments: NDArray[np.int32],
    explained: NDArray[np.float64],
    *,
    names: Mapping[int, str],
) -> bytes:
    """Draw customers on the first two principal axes, `points` (n, 2) and `segments` (n,), coloured by segment."""
    figure = style.make_canvas(4.2 + 0.17 * len(np.unique(segments)))
    axes = figure.subplots()
    for segment in np.unique(segments):
        inside = segments == segment
        identity = int(segment)
        axes.scatter(
            points[inside, 0],
            points[inside, 1],
            s=12,
            alpha=0.7,
            edgecolors=INK,
            linewidths=0.2,  # light colours need an edge on white
            color=segment_colour(identity),
            marker=style.segment_marker(identity),
            label=style.segment_label(identity, names, width=60),
        )
    axes.set_xlabel(f"first principal axis ({explained[0]:.0%} of the variance)")
    axes.set_ylabel(f"second ({explained[1]:.0%})")
    axes.locator_params(nbins=_TICKS)
    axes.legend(frameon=False, fontsize=8, markerscale=2, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=1)
    return style.to_png(figure)


def draw_silhouettes(sample: SilhouetteSample, sweep: SweepResult, *, names: Mapping[int, str] | None = None) -> bytes:
    """Draw each customer's silhouette, sorted within its cluster, and the mean of all that the sweep measured.

    A cluster's band is as thick as it has customers; its label stands beside it, as near as the other labels allow.
    With `names` the groups are segments in their colours; without, they are clusters of one fit, in grey.
    """
    groups = [int(group) for group in np.unique(sample.clusters)]
    lines = 2 if len(groups) <= _FEW else 1
    room = max(2.6, 0.3 * len(groups))
    figure = style.make_canvas(room + _AROUND)
    axes = figure.subplots()
    sizes = np.array([float(sample.weights[sample.clusters == group].sum()) for group in groups])
    heights = sizes / sizes.sum()
    tops = np.concatenate([[0.0], np.cumsum(heights[:-1] + _GAP)])
    bottom = float(tops[-1] + heights[-1])
    places = _move_apart(tops + heights / 2, least=lines * _LINE / room * bottom, most=bottom)
    for position, group in enumerate(groups):
        own = sample.clusters == group
        colour = SLATE[position % 2] if names is None else segment_colour(group)
        hatch = "" if names is None else style.segment_hatch(group)
        _draw_band(axes, sample.silhouettes[own], tops[position], heights[position], colour, hatch)
        label = (
            f"cluster {group}" if names is None else style.segment_label(group, names, width=30 if lines > 1 else 22)
        )
        label += f"\n{round(sizes[position]):,} customers" if lines > 1 else f" ({round(sizes[position]):,})"
        if names is None and sweep.cluster_silhouettes:
            label += f", mean {sweep.cluster_silhouettes[position]:.2f}"
        axes.text(1.015, places[position], label, fontsize=8, va="center", color=INK,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    mean = sweep.chosen.silhouette
    axes.axvline(mean, color=PALETTE[5], linestyle="--", linewidth=1.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(xlim=(min(-0.2, float(sample.silhouettes.min()) - 0.02), 1), ylim=(bottom + _GAP, -_GAP), yticks=[])
    axes.set_xlabel("below 0: nearer to another cluster    0: on a border    1: well inside", fontsize=9)
    axes.set_title(f"K = {sweep.k}: mean silhouette {mean:.2f} (dashed)", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return style.to_png(figure)


def draw_distances(distances: NDArray[np.float64], clusters: NDArray[np.int64]) -> bytes:
    """Draw how far customers are from the center of their cluster: a box for each cluster, and one for the outliers.

    A box holds the middle half, with the median in it; the whiskers reach from the 1st to the 99th percentile.
    """
    groups, sizes = np.unique(clusters, return_counts=True)
    figure = style.make_canvas(_AROUND + 0.36 * len(groups))
    axes = figure.subplots()
    every = max(1, len(clusters) // _MOST_ROWS)
    rows = [distances[::every][clusters[::every] == group] for group in groups]
    boxes = axes.boxplot(rows, orientation="horizontal", whis=(1, 99), showfliers=False, patch_artist=True, widths=0.6)
    for position, box in enumerate(boxes["boxes"]):
        box.set(facecolor=SLATE[position % 2], edgecolor=INK, linewidth=0.8)
    for median in boxes["medians"]:
        median.set(color=PALETTE[5], linewidth=2)
    labels = [
        f"{'unassigned' if group < 0 else f'cluster {group}'} ({size:,})"
        for group, size in zip(groups, sizes, strict=True)
    ]
    axes.set_yticks(range(1, len(groups) + 1), labels, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=_TICKS)
    axes.set_xlabel("distance to the center, in units of the scaled features", fontsize=9)
    axes.set_title("median (orange), the middle half, and all but the nearest and farthest 1 %", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return style.to_png(figure)


def _move_apart(places: NDArray[np.float64], *, least: float, most: float) -> NDArray[np.float64]:
    """Move ascending places until neighbours are `least` apart and the last is within `most`."""
    moved = places.copy()
    for position in range(1, len(moved)):
        moved[position] = max(moved[position], moved[position - 1] + least)
    moved[-1] = min(moved[-1], most)
    for position in range(len(moved) - 2, -1, -1):
        moved[position] = min(moved[position], moved[position + 1] - least)
    return moved


def _draw_band(
    axes: Axes, silhouettes: NDArray[np.float64], top: float, height: float, colour: str, hatch: str
) -> None:
    """Draw one cluster: its silhouettes from the largest, evenly over the band."""
    ordered = np.sort(silhouettes)[::-1]
    edges = np.linspace(top, top + height, len(ordered) + 1)
    axes.fill_betweenx(
        edges, 0, np.append(ordered, ordered[-1]), step="post", facecolor=colour, edgecolor="white", hatch=hatch,
        linewidth=0,
    )  # fmt: skip
