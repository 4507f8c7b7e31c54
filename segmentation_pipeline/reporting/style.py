"""What all figures share: the colour of a segment, the canvas, and the way to bytes."""

from __future__ import annotations

import functools
import importlib
import io
import textwrap
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

# Okabe and Ito (2008), Color Universal Design; black is left for text
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
# The eighth segment has the colour of the first; they differ in the pattern and, in a scatter, in the marker.
HATCHES: Final = ("", "////", "....", "xxxx", "----", "++++")
GREY: Final = "#999999"
# Clusters are not segments yet, so they have other colours than segments.
SLATE: Final = ("#5B6770", "#97A3AC")
INK: Final = "#222222"
WIDTH: Final = 7.2  # inches: about 790 pixels, which the UI shows without shrinking
_DPI: Final = 110
POINT: Final = _DPI / 72  # pixels; sizes of type are in points
_PAD: Final = 0.08  # inches


def segment_colour(segment_id: int) -> str:
    """Return the colour of a segment, the same for as long as it lives; unassigned (-1) is grey."""
    return GREY if segment_id < 1 else PALETTE[(segment_id - 1) % len(PALETTE)]


def segment_ink(segment_id: int) -> str:
    """Return the colour of text on a segment's colour."""
    colour = segment_colour(segment_id)
    return choose_ink(*(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)))


def segment_hatch(segment_id: int) -> str:
    """Return the pattern of a segment's areas: none for the first seven."""
    return "" if segment_id < 1 else HATCHES[(segment_id - 1) // len(PALETTE) % len(HATCHES)]


def segment_marker(segment_id: int) -> str:
    """Return the marker of a segment's points: two segments of one colour have different markers."""
    return MARKERS[(segment_id - 1 + (segment_id - 1) // len(PALETTE)) % len(MARKERS)]


def segment_label(segment_id: int, names: Mapping[int, str], *, width: int, lines: int = 1) -> str:
    """Return id and name of a segment, wrapped."""
    if segment_id < 1:
        return "unassigned"
    name = names.get(segment_id, "")
    text = f"{segment_id}: {name}" if name else f"segment {segment_id}"
    return wrap_text(text, width=width, lines=lines)


def wrap_text(text: str, *, width: int, lines: int) -> str:
    """Wrap a text to at most `lines` lines of at most `width` characters; a longer one ends in "…"."""
    whole = textwrap.wrap(text, width)
    if len(whole) <= lines:
        return "\n".join(whole)
    rest = " ".join(whole[lines - 1 :])[: width - 1]
    words = rest.rpartition(" ")[0]
    # between words, unless that would leave half the line empty
    last = words if len(words) > width / 2 else rest
    return "\n".join([*whole[: lines - 1], f"{last.rstrip(' ,')}…"])


def choose_ink(red: float, green: float, blue: float) -> str:
    """Return black or white, the one that is easier to read on this colour (WCAG 2 relative luminance)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else INK


@functools.cache
def load_matplotlib() -> None:
    """Load matplotlib, in a thread of its own.

    During the import exceptions are raised and caught. They hold the frames around the import, and all that those hold,
    such as the matrix of the customers, until garbage is collected the next time: that may be many stages later. In a
    thread of its own there are no such frames.
    """
    thread = Thread(target=importlib.import_module, args=["matplotlib.figure"])
    thread.start()
    thread.join()


def make_canvas(height: float, *, width: float = WIDTH) -> Figure:
    """Return an empty figure, in inches; not through pyplot, which has a global state and is slow to import."""
    load_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), dpi=_DPI, layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD))


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG bytes, as it is shown and stored."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    # savefig would draw it twice; a stronger compression saves a few per cent and takes up to twice as long
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 3})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
