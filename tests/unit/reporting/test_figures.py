"""Figures: PNG bytes out, and on the way there the artists say what the data says."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.textpath import TextPath

from segmentation_pipeline.model import SilhouetteSample, StructureVerdict, SweepCandidate, SweepResult
from segmentation_pipeline.reporting import style
from segmentation_pipeline.reporting.figures import draw_distances, draw_scatter, draw_silhouettes, draw_sweep
from segmentation_pipeline.reporting.segments import MOST_FEATURES, draw_profiles, draw_sizes
from segmentation_pipeline.reporting.style import PALETTE, choose_ink, segment_colour, segment_hatch, segment_marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.path import Path
    from numpy.typing import NDArray

LONG = "high spend, low recency days, mostly payment method electronic check of the new kind"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that become bytes during the test."""
    figures: list[Figure] = []
    real = style.to_png

    def keep(figure: Figure) -> bytes:
        figures.append(figure)
        return real(figure)

    monkeypatch.setattr(style, "to_png", keep)
    return figures


def _sweep(k: int, silhouettes: tuple[float, ...] = ()) -> SweepResult:
    candidates = tuple(SweepCandidate(tried, 100 / tried, 0.4, 0.5, 1.0, 9.0, 0.1, 0.5) for tried in (k, k + 1))
    structure = StructureVerdict("structure", 9.0, 0.5, "")
    return SweepResult(candidates, k, "", None, None, (), structure, 0, 100, 100, 200.0, silhouettes)


def _sample(k: int) -> SilhouetteSample:
    rng = np.random.default_rng(0)
    clusters = np.concatenate([np.arange(k), rng.integers(0, k, 300)])
    return SilhouetteSample(clusters, rng.uniform(-0.1, 0.9, len(clusters)), np.full(len(clusters), 5.0))


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def _size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("k", [2, 20])
def test_every_figure_is_a_png_as_wide_as_the_ui(k: int) -> None:
    """Few and many segments, with long names, give pictures of one width that nothing shrinks, and of a sane height."""
    names = dict.fromkeys(range(1, k + 1), LONG)
    rng = np.random.default_rng(0)
    points, segments = rng.normal(size=(200, 2)), np.arange(200) % k + 1
    pictures = [
        draw_sweep(_sweep(k)),
        draw_scatter(points, segments, np.array([0.5, 0.3]), names=names),
        draw_silhouettes(_sample(k), _sweep(k, tuple(np.linspace(0.1, 0.6, k)))),
        draw_sizes(dict.fromkeys(names, 1234567), names=names, unassigned=3),
        draw_profiles({segment: {f"feature {number}": 0.5 for number in range(30)} for segment in names}, names=names),
    ]
    for width, height in map(_size, pictures):
        assert width == 792
        assert 100 < height < 1200


def test_silhouettes_are_told_by_cluster(drawn: list[Figure]) -> None:
    """Each cluster has its size and its own mean from the sweep, in colours of no segment; the line is the sweep's."""
    sample = _sample(3)

    draw_silhouettes(sample, _sweep(3, (0.1, 0.2, 0.3)))

    (axes,) = drawn[0].axes
    sizes = [5 * int((sample.clusters == cluster).sum()) for cluster in range(3)]
    assert _texts(drawn[0]) == [
        f"cluster {cluster}\n{size:,} customers, mean 0.{cluster + 1}0" for cluster, size in enumerate(sizes)
    ]
    assert axes.lines[0].get_xdata()[0] == 0.4
    assert "K = 3: mean silhouette 0.40" in axes.get_title()
    colours = [to_hex(band.get_facecolor()[0]).upper() for band in axes.collections]
    assert set(colours).isdisjoint(PALETTE)
    # each band spans its cluster's silhouettes
    for cluster, band in enumerate(axes.collections):
        own = sample.silhouettes[sample.clusters == cluster]
        shown = band.get_paths()[0].vertices[:, 0]
        assert (shown.max(), shown.min()) == (pytest.approx(own.max()), pytest.approx(min(own.min(), 0)))


def test_silhouettes_of_segments_have_the_segments_colours(drawn: list[Figure]) -> None:
    """With names the groups are segments: their names and their colours."""
    sample = _sample(3)
    named = SilhouetteSample(sample.clusters + 4, sample.silhouettes, sample.weights)

    draw_silhouettes(named, _sweep(3, (0.1, 0.2, 0.3)), names={4: "web", 5: "shop", 6: "app"})

    colours = [to_hex(band.get_facecolor()[0]).upper() for band in drawn[0].axes[0].collections]
    assert colours == [segment_colour(segment) for segment in (4, 5, 6)]
    assert [text.splitlines()[0] for text in _texts(drawn[0])] == ["4: web", "5: shop", "6: app"]


@pytest.mark.parametrize("k", [3, 20])
def test_labels_of_thin_clusters_do_not_overlap(k: int, drawn: list[Figure]) -> None:
    """However unequal the sizes, no label covers another."""
    sample = _sample(k)
    weights = np.where(sample.clusters == 0, 1000.0, 0.5)

    draw_silhouettes(SilhouetteSample(sample.clusters, sample.silhouettes, weights), _sweep(k, (0.5,) * k))

    boxes = sorted((text.get_window_extent() for text in drawn[0].axes[0].texts), key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 + 1 for lower, upper in pairwise(boxes))


def test_distances_are_told_by_cluster(drawn: list[Figure]) -> None:
    """A row for each cluster with its customers, those in none first, and the median where it is."""
    clusters = np.repeat([-1, 0, 1], [5, 1000, 101])
    distances = np.concatenate([np.full(5, 9.0), np.linspace(0, 2, 1000), np.linspace(2, 4, 101)])
    draw_distances(distances, clusters)

    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "unassigned (5)",
        "cluster 0 (1,000)",
        "cluster 1 (101)",
    ]
    medians = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 2]
    assert medians == pytest.approx([9.0, 1.0, 3.0])


def test_sizes_are_counts_and_shares(drawn: list[Figure]) -> None:
    """A bar a segment in its colour with count and share of the assigned; the unassigned are grey and have no share."""
    draw_sizes({9: 250, 2: 750}, names={2: "big", 9: LONG}, unassigned=12)

    (axes,) = drawn[0].axes
    bars = axes.patches
    assert [bar.get_width() for bar in bars] == [750, 250, 12]
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == [PALETTE[1], PALETTE[1], style.GREY]
    assert [bar.get_hatch() for bar in bars] == ["", "////", ""]
    assert _texts(drawn[0]) == ["750  (75.0%)", "250  (25.0%)", "12"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert (labels[0], labels[2]) == ("2: big", "unassigned")
    assert labels[1].startswith("9: high spend")
    assert labels[1].endswith("…")
    assert axes.get_title() == "1,000 customers in 2 segments"


def _outline(path: Path) -> NDArray[np.float64]:
    """Its shape, wherever it lies."""
    return path.vertices - path.vertices.min(axis=0)


def test_the_profile_shows_every_score(drawn: list[Figure]) -> None:
    """The strongest feature comes first, each cell has its number in a readable colour, and a missing value has none."""
    draw_profiles({1: {"age": 0.26, "spend": -3.0}, 3: {"age": float("nan"), "spend": 0.02}}, names={1: "a", 3: "b"})

    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_yticklabels() if label.get_text()] == ["spend", "age"]
    (numbers,) = (collection for collection in axes.collections if isinstance(collection, PathCollection))
    places = [tuple(offset) for offset in numbers.get_offsets().tolist()]
    shapes = {place: _outline(path) for place, path in zip(places, numbers.get_paths(), strict=True)}
    cells = {(0, 0): "-3.0", (1, 0): "0.0", (0, 1): "+0.3", (1, 1): "-"}
    assert shapes.keys() == cells.keys()
    for place, text in cells.items():
        np.testing.assert_allclose(shapes[place], _outline(TextPath((0, 0), text, size=8.5)), atol=1e-9)
    inks = [to_hex(colour) for colour in numbers.get_facecolors()]
    assert (inks[places.index((0, 0))], inks[places.index((1, 0))]) == (to_hex("white"), style.INK)
    chips = [text for text in axes.texts if text.get_bbox_patch() is not None]
    assert [text.get_text() for text in chips] == ["1", "3"]
    assert [to_hex(text.get_bbox_patch().get_facecolor()).upper() for text in chips] == [PALETTE[0], PALETTE[2]]


def test_a_profile_of_many_features_says_what_it_leaves_out(drawn: list[Figure]) -> None:
    """The features that say least are left out, and counted."""
    scores = {f"feature {number}": number / 10 for number in range(MOST_FEATURES + 5)}
    draw_profiles({1: scores, 2: scores}, names={})
    (axes,) = drawn[0].axes
    assert "5 features that differ less are left out" in axes.get_xlabel()
    assert axes.get_yticklabels()[0].get_text() == f"feature {MOST_FEATURES + 4}"


def test_a_segment_looks_like_no_other() -> None:
    """The first seven have a colour each; beyond, pattern and marker tell those of one colour apart."""
    assert len({segment_colour(segment) for segment in range(1, 8)}) == 7
    assert len({(segment_colour(segment), segment_hatch(segment)) for segment in range(1, 41)}) == 40
    assert len({(segment_colour(segment), segment_marker(segment)) for segment in range(1, 41)}) == 40
    assert (segment_colour(-1), segment_hatch(-1)) == (style.GREY, "")


def test_text_is_black_on_light_and_white_on_dark() -> None:
    """Whichever has the higher contrast, on every colour of the palette at least 4.5 to 1."""
    assert (choose_ink(1, 1, 1), choose_ink(0, 0, 0.3), choose_ink(0.9, 0.6, 0)) == (style.INK, "white", style.INK)


@pytest.mark.parametrize(
    ("text", "lines", "wanted"),
    [
        ("low spend", 1, "low spend"),
        ("high spend, low recency days", 1, "high spend, low…"),
        ("high spend, low recency days", 2, "high spend, low\nrecency days"),
        ("incomprehensibilities abound", 1, "incomprehensibilit…"),
    ],
)
def test_names_are_cut_between_words(text: str, lines: int, wanted: str) -> None:
    """A name fits into its lines; what is cut ends in "…", inside a word only where it must."""
    assert style.wrap_text(text, width=19, lines=lines) == wanted
