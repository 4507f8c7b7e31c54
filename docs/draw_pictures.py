"""Draw the pictures of docs/: python docs/draw_pictures.py docs/pictures.

The customers are invented. Ids, overlaps and p-values are computed by the package, the timeline is not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.identity.evidence import Reference
from segmentation_pipeline.analysis.identity.matching import align, apply_alignment
from segmentation_pipeline.analysis.identity.overlap import count_clusters, count_overlap
from segmentation_pipeline.analysis.selection.dip import dip_p_value
from segmentation_pipeline.reporting.style import segment_colour

if TYPE_CHECKING:
    from numpy.typing import NDArray

# the colours of text and lines follow the reader's theme, which GitHub and browsers pass on to an image
STYLE: Final = """\
<style>
text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 11px } .soft { fill: #57606a }
.line { stroke: #8c959f; fill: none } .plain { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .soft { fill: #9198a1 } }
</style>"""
PERSONAS: Final = ((0.30, 0.30), (0.68, 0.24), (0.50, 0.72))
SIZES: Final = (70, 50, 40)
PANEL: Final = 220


@dataclass(frozen=True)
class Fit:
    """Two months of the same customers: places in the unit square, and the cluster numbers of the second fit."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    segments: NDArray[np.int64]
    clusters: NDArray[np.int64]


def _two_months() -> Fit:
    rng = np.random.default_rng(4)
    persona = np.repeat(np.arange(len(SIZES)), SIZES)
    before = np.asarray(PERSONAS)[persona] + rng.normal(0, 0.065, (len(persona), 2))
    after = before + rng.normal(0, 0.02, before.shape) + (0.02, 0.03)
    # a few customers of the first persona live like the second one now
    after[:6] += np.asarray(PERSONAS[1]) - PERSONAS[0]
    now = persona.copy()
    now[:6] = 1
    return Fit(before, after, persona + 1, np.asarray([2, 0, 1])[now])


def same_customers() -> str:
    """Draw three panels: March's segments, April's cluster numbers, April's segments."""
    fit = _two_months()
    clusters = fit.clusters
    alignment = align(
        count_clusters(clusters, k=3),
        references=[
            Reference(
                "parent",
                (1, 2, 3),
                dict(enumerate(SIZES, 1)),
                by_history=count_overlap(clusters, fit.segments, (1, 2, 3), k=3),
            )
        ],
        next_segment_id=4,
        evidence="the customers' own segments",
    )
    aligned = apply_alignment(clusters, alignment)
    panels = (
        ("March: segments 1, 2, 3", fit.before, fit.segments, 0),
        ("April: clusters 0, 1, 2 of a new fit", fit.after, clusters + 1, 1),
        ("April: aligned with March", fit.after, aligned, 0),
    )
    body = []
    for index, (title, places, labels, offset) in enumerate(panels):
        left = index * (PANEL + 20) + 10
        body.append(f'<text x="{left}" y="18">{title}</text>')
        body.append(f'<rect x="{left}" y="28" width="{PANEL}" height="{PANEL}" class="line"/>')
        for (x, y), label in zip(places, labels, strict=True):
            place = f'cx="{left + x * PANEL:.1f}" cy="{28 + (1 - y) * PANEL:.1f}"'
            body.append(f'<circle {place} r="3" fill="{segment_colour(int(label))}" fill-opacity="0.8"/>')
        for label in sorted(set(labels.tolist())):
            x, y = places[labels == label].mean(axis=0)
            name = label - offset
            body.append(
                f'<text x="{left + x * PANEL:.0f}" y="{28 + (1 - y) * PANEL - 36:.0f}" text-anchor="middle" '
                f'font-weight="bold">{name}</text>'
            )
    return _svg(3 * (PANEL + 20), PANEL + 40, "The same customers in March and April", body)


def overlap() -> str:
    """Draw how many of each cluster's customers were in each segment, and the pairs that were matched."""
    fit = _two_months()
    found = count_overlap(fit.clusters, fit.segments, (1, 2, 3), k=3)
    body = ['<text x="150" y="18">customers who were in</text>']
    for column, segment in enumerate(found.segment_ids):
        body.append(f'<text x="{190 + column * 90}" y="40" text-anchor="middle">segment {segment}</text>')
    for row in range(3):
        y = 52 + row * 44
        body.append(f'<text x="10" y="{y + 25}">April\'s cluster {row}</text>')
        best = int(found.jaccard[row].argmax())
        for column, count in enumerate(found.counts[row].tolist()):
            x = 150 + column * 90
            segment = found.segment_ids[column]
            fill = segment_colour(segment) if column == best else "none"
            body.append(
                f'<rect x="{x}" y="{y}" width="80" height="38" rx="4" class="line" style="fill:{fill};'
                f'fill-opacity:0.35"/><text x="{x + 40}" y="{y + 24}" text-anchor="middle">{count}</text>'
            )
        body.append(f'<text x="430" y="{y + 25}">is segment {found.segment_ids[best]}</text>')
    return _svg(560, 190, "Customers by cluster and by the segment they were in", body)


def timeline() -> str:
    """Draw what can happen to a segment: kept, born, retired, returned, split, merged."""
    months = ("Oct", "Nov", "Dec", "Jan", "Feb", "Mar", "Apr", "May")
    left, step, top = 95, 82, 44
    rows = ((1, ((0, 7),)), (2, ((0, 7),)), (3, ((1, 2), (5, 7))), (4, ((3, 6),)), (5, ((4, 7),)))
    told = (
        (1, 0, "born"),
        (2, 0, "born"),
        (3, 1, "born"),
        (3, 3, "retired"),
        (3, 5, "returned, same id"),
        (4, 3, "split from 2"),
        (4, 7, "merged into 2"),
        (5, 4, "born under a new id"),
    )
    body = [
        f'<text x="{left + index * step}" y="20" class="small soft">{month}</text>'
        for index, month in enumerate(months)
    ]
    y_of = {segment: top + index * 44 for index, (segment, _) in enumerate(rows)}
    for segment, spans in rows:
        y = y_of[segment]
        body.append(f'<text x="10" y="{y + 12}" font-weight="bold">segment {segment}</text>')
        for first, last in spans:
            width = (last - first + 1) * step - 14
            body.append(
                f'<rect x="{left + first * step}" y="{y}" width="{width}" height="16" rx="4" '
                f'fill="{segment_colour(segment)}"/>'
            )
    for segment, month, words in told:
        body.append(f'<text x="{left + month * step}" y="{y_of[segment] + 30}" class="small soft">{words}</text>')
    return _svg(left + len(months) * step, top + len(rows) * 44 + 4, "Segments through eight months", body)


def valleys() -> str:
    """Draw two neighbouring clusters along the line between their centroids: two groups, and one group cut in two."""
    rng = np.random.default_rng(1)
    two = np.concatenate([rng.normal(-1.5, 0.7, 400), rng.normal(1.5, 0.7, 400)])
    one = rng.normal(0, 1.1, 800)
    body = []
    for index, (values, title) in enumerate(((two, "a valley: two groups"), (one, "no valley: one group, cut"))):
        left, base = index * 300 + 10, 180
        body.append(f'<text x="{left}" y="18">{title}, dip p = {dip_p_value(values):.2f}</text>')
        counts, edges = np.histogram(values, bins=24, range=(-3.6, 3.6))
        for count, edge in zip(counts.tolist(), edges.tolist(), strict=False):
            height = count / max(counts.max(), 1) * 140
            colour = segment_colour(1 if edge < -1e-6 else 2)
            x = left + (edge + 3.6) / 7.2 * 270
            body.append(
                f'<rect x="{x:.1f}" y="{base - height:.1f}" width="10.2" height="{height:.1f}" fill="{colour}"/>'
            )
        body.append(f'<line x1="{left}" y1="{base}" x2="{left + 270}" y2="{base}" class="line"/>')
        body.append(
            f'<line x1="{left + 135}" y1="34" x2="{left + 135}" y2="{base}" class="line" stroke-dasharray="4"/>'
        )
    body.append('<text x="10" y="200" class="small soft">customers on the line from one centroid to the other; '
                "the dashed line is the border</text>")  # fmt: skip
    return _svg(600, 210, "Customers between two neighbouring centroids", body)


PICTURES: Final = {
    "same-customers.svg": same_customers,
    "overlap.svg": overlap,
    "timeline.svg": timeline,
    "valleys.svg": valleys,
}


def _svg(width: int, height: int, title: str, body: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    return "\n".join([head, f"<title>{title}</title>", STYLE, *body, "</svg>"]) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (folder / name).write_text(draw())
        print(folder / name)
