"""The segments side by side: how large they are, and what sets them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.reporting import style
from segmentation_pipeline.reporting.style import GREY, INK, segment_colour, segment_hatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# from a difference of two standard deviations on the colour is the strongest
_FULL: Final = 2.0
MOST_FEATURES: Final = 24
_ROW: Final = 0.27  # inches
_FEATURE_WIDTH: Final = 32  # characters


def draw_sizes(sizes: Mapping[int, int], *, names: Mapping[int, str], unassigned: int = 0) -> bytes:
    """Draw a bar for each segment in order of id, with its number of customers and its share of the assigned."""
    segments = sorted(sizes)
    rows = [*segments, *([-1] if unassigned else [])]
    counts = [*(sizes[segment] for segment in segments), *([unassigned] if unassigned else [])]
    assigned = sum(sizes.values())
    figure = style.make_canvas(0.7 + 0.42 * len(rows))
    axes = figure.subplots()
    bars = axes.barh(
        range(len(rows)),
        counts,
        color=[segment_colour(segment) for segment in rows],
        hatch=[segment_hatch(segment) for segment in rows],
        edgecolor="white",
        height=0.72,
    )
    shares = [f"{count:,}  ({count / assigned:.1%})" for count in counts[: len(segments)]]
    axes.bar_label(bars, [*shares, *([f"{unassigned:,}"] if unassigned else [])], padding=4, fontsize=9, color=INK)
    labels = [style.segment_label(segment, names, width=34, lines=2) for segment in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.set_xlim(0, 1.28 * max(counts))  # room for the numbers
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_title(f"{assigned:,} customers in {len(segments)} segments", fontsize=11)
    return style.to_png(figure)


def draw_profiles(scores: Mapping[int, Mapping[str, float]], *, names: Mapping[int, str]) -> bytes:
    """Draw a heatmap of features and segments: how far a segment's mean is from that of all customers.

    `scores` maps a segment to the z of its features, in standard deviations; NaN, or a feature that is missing, is a
    segment without a value. The features in which segments differ most come first, at most MOST_FEATURES.
    """
    segments = sorted(scores)
    everything = list(dict.fromkeys(feature for segment in segments for feature in scores[segment]))
    table = np.array([[scores[segment].get(feature, np.nan) for segment in segments] for feature in everything])
    strength = np.nan_to_num(np.abs(table)).max(axis=1)
    order = np.argsort(-strength, kind="stable")[:MOST_FEATURES]
    table = table[order]
    features = [everything[index] for index in order]
    # names fit only above few columns; ids always fit
    lines = 4 if len(segments) <= 6 else 0
    figure = style.make_canvas(1.0 + 0.16 * lines + _ROW * len(features))
    axes = figure.subplots()
    _draw_cells(axes, table)
    _label_columns(axes, segments, names, lines=lines)
    axes.set_yticks(range(len(features)), [_shorten(feature) for feature in features], fontsize=8.5)
    left = len(everything) - len(features)
    hint = "standard deviations above (+) or below (-) the average customer"
    axes.set_xlabel(f"{hint}\n{left} features that differ less are left out" if left else hint, fontsize=9)
    return style.to_png(figure)


def _draw_cells(axes: Axes, table: NDArray[np.float64]) -> None:
    """Draw colours and numbers of the heatmap; from red to blue, which colour-blind people can distinguish."""
    from matplotlib import colormaps

    colours = colormaps["RdBu_r"].with_extremes(bad="#E4E4E4")
    middles = np.arange(table.shape[1]), np.arange(len(table))
    axes.pcolormesh(
        *middles, np.ma.masked_invalid(table), cmap=colours, vmin=-_FULL, vmax=_FULL, edgecolors="white", linewidth=1
    )
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    shades = colours(np.ma.masked_invalid((table + _FULL) / (2 * _FULL)))[..., :3].reshape(-1, 3)
    inks = [style.choose_ink(*shade) for shade in shades.tolist()]
    _draw_numbers(axes, table, inks, size=8.5 if table.shape[1] <= 12 else 6.5)


def _draw_numbers(axes: Axes, table: NDArray[np.float64], inks: Sequence[str], *, size: float) -> None:
    """Draw a number in the middle of each cell, as outlines: a hundred texts took half of the figure's time."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    shown = [f"{z:+.1f}".replace("+0.0", "0.0").replace("-0.0", "0.0") if np.isfinite(z) else "-" for z in table.flat]
    outlines = {text: TextPath((0, 0), text, size=size) for text in {"0", *shown}}
    height = outlines["0"].vertices[:, 1].max()  # the same for every number, so that they stand on one line
    middled = {
        text: Path(outline.vertices - [outline.vertices[:, 0].max() / 2, height / 2], outline.codes)
        for text, outline in outlines.items()
    }
    numbers = PathCollection(
        [middled[text] for text in shown],
        offsets=[(column, row) for row, column in np.ndindex(table.shape)],
        offset_transform=axes.transData,
        transform=Affine2D().scale(style.POINT),
        facecolors=inks,
        linewidths=0,
    )
    numbers.set_in_layout(False)  # they are within the cells
    axes.add_collection(numbers, autolim=False)


def _label_columns(axes: Axes, segments: Sequence[int], names: Mapping[int, str], *, lines: int) -> None:
    """Write the segments above the heatmap: the id on the segment's colour and, where there is room, the name."""
    from matplotlib.colors import to_rgb

    axes.set_xticks([])
    size = 10 if len(segments) <= 12 else 7.5
    for column, segment in enumerate(segments):
        colour = segment_colour(segment)
        axes.annotate(
            str(segment), (column, 1), xytext=(0, 12), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="center", fontsize=size, fontweight="bold", color=style.choose_ink(*to_rgb(colour)),
            bbox={"boxstyle": "round,pad=0.3", "facecolor": colour, "edgecolor": GREY, "linewidth": 0.5},
        )  # fmt: skip
        if lines and names.get(segment):
            axes.annotate(
                style.wrap_text(names[segment], width=max(11, 66 // len(segments)), lines=lines), (column, 1),
                xytext=(0, 26), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
                va="bottom", fontsize=8, color=INK,
            )  # fmt: skip


def _shorten(feature: str) -> str:
    return feature if len(feature) <= _FEATURE_WIDTH else f"{feature[: _FEATURE_WIDTH - 1]}…"
