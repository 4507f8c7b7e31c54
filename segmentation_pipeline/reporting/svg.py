"""The geometry of the report's drawings: numbers that a template turns into SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.reporting.style import GREY, segment_colour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segmentation_pipeline.model import SweepResult, Transition

# As wide as a phone: there the text keeps its size, and on wider screens it grows a little.
WIDTH: Final = 360
_FLOW_HEIGHT: Final = 300.0
_LABEL: Final = 64.0  # room for a node's id and count
_NODE: Final = 12.0
_LINE: Final = 17.0  # the least distance between two nodes' labels
NEW: Final = -2  # customers who were not there before
LEFT: Final = -3  # customers who are not there any more
NOWHERE: Final = -1  # in no segment


def draw_ribbon(shares: Sequence[float | None], *, largest: float) -> tuple[str, ...]:
    """Return the polygons of a band as thick as the shares, one for each time without a gap.

    The box is n wide and 1 high.

    A share of `largest` fills the height; None is a period without the segment.
    """
    polygons, run = [], list[tuple[float, float]]()
    for position, share in enumerate([*shares, None]):
        if share is not None:
            run.append((position + 0.5, max(0.02, share / largest / 2 if largest else 0.02)))
        elif run:
            run = [(run[0][0] - 0.35, run[0][1]), *run, (run[-1][0] + 0.35, run[-1][1])]
            above = [f"{x:.3f},{0.5 - half:.4f}" for x, half in run]
            below = [f"{x:.3f},{0.5 + half:.4f}" for x, half in reversed(run)]
            polygons.append(" ".join([*above, *below]))
            run = []
    return tuple(polygons)


@dataclass(frozen=True, slots=True)
class Bar:
    """One K of the sweep: where its bar stands, and whether it was chosen."""

    k: int
    x: float
    y: float
    width: float
    height: float
    score: float
    chosen: bool
    is_labelled: bool


def draw_sweep_bars(sweep: SweepResult, *, height: float) -> tuple[Bar, ...]:
    """Return a bar for each K, as high as its simplified silhouette; the highest one fills `height`."""
    scores = {tried.k: tried.simplified_silhouette for tried in sweep.candidates}
    step = WIDTH / len(scores)
    highest = max(0.01, *scores.values())
    # a number on every bar needs room
    sparse = len(scores) > 10
    return tuple(
        Bar(
            k=k,
            x=step * (index + 0.15),
            y=height - max(1.0, height * max(score, 0.0) / highest),
            width=step * 0.7,
            height=max(1.0, height * max(score, 0.0) / highest),
            score=score,
            chosen=k == sweep.k,
            is_labelled=not sparse or k in {sweep.k, sweep.runner_up},
        )
        for index, (k, score) in enumerate(scores.items())
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A group of customers before (left) or now: a segment, the new ones, those who left, or those of no segment."""

    key: int
    x: float
    y: float
    height: float
    n_customers: int
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class Link:
    """The customers of one node who are in another one now; `stays` where both are the same segment."""

    path: str
    colour: str
    stays: bool
    start: int
    end: int
    n_customers: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The customers before and now, in a box of width WIDTH."""

    before: tuple[Node, ...]
    now: tuple[Node, ...]
    links: tuple[Link, ...]
    height: float
    node_width: float = _NODE


def count_flows(
    transitions: Sequence[Transition], before: Mapping[int, int], now: Mapping[int, int], n_unassigned: int
) -> dict[tuple[int, int], int]:
    """Count the customers by where they were and where they are, with those who are new and those who left."""
    counts = {
        (known.from_segment_id, known.to_segment_id if known.to_segment_id is not None else NOWHERE): known.n_customers
        for known in transitions
    }
    left = {start: n - sum(m for (one, _), m in counts.items() if one == start) for start, n in before.items()}
    ends = {**now, NOWHERE: n_unassigned}
    fresh = {end: n - sum(m for (_, other), m in counts.items() if other == end) for end, n in ends.items()}
    counts |= {(start, LEFT): n for start, n in left.items() if n > 0}
    return counts | {(NEW, end): n for end, n in fresh.items() if n > 0}


def lay_out_flow(counts: Mapping[tuple[int, int], int]) -> Flow:
    """Lay out the moves: on each side a node for each segment in order of id, then the customers of no segment."""
    total = max(1, sum(counts.values()))
    starts, ends = (
        _lay_out_nodes([(pair[side], n) for pair, n in counts.items()], total, x=x)
        for side, x in ((0, _LABEL), (1, WIDTH - _LABEL - _NODE))
    )
    tops = ({node.key: node.y for node in starts}, {node.key: node.y for node in ends})
    links = []
    order = [node.key for node in starts], [node.key for node in ends]
    for start, end in sorted(counts, key=lambda pair: (order[0].index(pair[0]), order[1].index(pair[1]))):
        thick = _FLOW_HEIGHT * counts[start, end] / total
        y0, y1 = tops[0][start], tops[1][end]
        tops[0][start] += thick
        tops[1][end] += thick
        links.append(
            Link(
                path=_draw_band(_LABEL + _NODE, y0, WIDTH - _LABEL - _NODE, y1, thick),
                colour=segment_colour(start),
                stays=start == end,
                start=start,
                end=end,
                n_customers=counts[start, end],
            )
        )
    height = max([node.y + max(node.height, _LINE) for node in (*starts, *ends)], default=0.0)
    # the customers who moved are drawn above those who stayed
    return Flow(starts, ends, tuple(sorted(links, key=lambda link: not link.stays)), height)


def _lay_out_nodes(parts: Sequence[tuple[int, int]], total: int, *, x: float) -> tuple[Node, ...]:
    sizes: dict[int, int] = {}
    for key, n in parts:
        sizes[key] = sizes.get(key, 0) + n
    nodes, y = [], 0.0
    for key in sorted(sizes, key=lambda node: (node < 1, -node if node < 1 else node)):
        height = _FLOW_HEIGHT * sizes[key] / total
        label = {NEW: "new", LEFT: "not there", NOWHERE: "in none"}.get(key, str(key))
        colour = segment_colour(key) if key > 0 else GREY
        nodes.append(Node(key, x, y, max(1.0, height), sizes[key], colour, label))
        y += max(height + 6.0, 2 * _LINE)
    return tuple(nodes)


def _draw_band(x0: float, y0: float, x1: float, y1: float, thick: float) -> str:
    """Return the path of a band between two heights, with soft ends; never too thin to be seen."""
    middle, thick = (x0 + x1) / 2, max(thick, 0.8)
    return (
        f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f} "
        f"L{x1:.1f},{y1 + thick:.1f} C{middle:.1f},{y1 + thick:.1f} {middle:.1f},{y0 + thick:.1f} "
        f"{x0:.1f},{y0 + thick:.1f} Z"
    )
