"""The plots, as PNG bytes: readable at UI size, colour-blind safe, the same colour for the same segment everywhere."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from segmentation_pipeline.model import SweepResult

# Okabe and Ito (2008), Color Universal Design; black is left for text
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
GREY: Final = "#999999"


def segment_colour(segment_id: int) -> str:
    """The colour of a segment, for as long as it lives; unassigned (-1) is grey."""
    return GREY if segment_id < 1 else PALETTE[(segment_id - 1) % len(PALETTE)]


def sweep_figure(sweep: SweepResult) -> bytes:
    """Inertia and silhouette against K in one figure, the chosen K marked."""
    figure = _figure(7.2, 3.6)
    left = figure.subplots()
    ks = [each.k for each in sweep.candidates]
    left.plot(ks, [each.inertia for each in sweep.candidates], color=PALETTE[0], marker="o", label="inertia (left)")
    left.set_xlabel("number of clusters K")
    left.set_ylabel("inertia", color=PALETTE[0])
    left.set_xticks(ks)
    left.set_ylim(bottom=0)
    right = left.twinx()
    right.errorbar(
        ks,
        [each.silhouette for each in sweep.candidates],
        yerr=[each.silhouette_error for each in sweep.candidates],
        color=PALETTE[5],
        marker="s",
        label="silhouette (right)",
    )
    right.set_ylabel("silhouette", color=PALETTE[5])
    left.axvline(sweep.k, color=GREY, linestyle="--", zorder=0)
    left.set_title(f"chosen: K = {sweep.k}", fontsize=11)
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    left.legend(handles=handles, frameon=False, loc="upper right")
    return _png(figure)


def scatter_figure(
    points: NDArray[np.float64],
    segments: NDArray[np.int64],
    explained: NDArray[np.float64],
    *,
    names: Mapping[int, str],
) -> bytes:
    """Customers on the first two principal axes, `points` (n, 2) and `segments` (n,), coloured by segment."""
    figure = _figure(7.2, 5.0)
    axes = figure.subplots()
    for segment in np.unique(segments):
        inside = segments == segment
        identity = int(segment)
        name = names.get(identity, "")
        axes.scatter(
            points[inside, 0],
            points[inside, 1],
            s=9,
            alpha=0.6,
            linewidths=0,
            color=segment_colour(identity),
            marker=MARKERS[(identity - 1) % len(MARKERS)],
            label=f"{identity}: {name[:40]}" if identity > 0 else "unassigned",
        )
    axes.set_xlabel(f"first principal axis ({explained[0]:.0%} of the variance)")
    axes.set_ylabel(f"second ({explained[1]:.0%})")
    axes.legend(frameon=False, fontsize=8, markerscale=2, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=1)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # slow to import, and not through pyplot: no global state

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
