"""What all figures share."""

import subprocess
import sys

HELD = """
import gc, weakref
import numpy as np
from segmentation_pipeline.reporting.style import make_canvas, to_png

gc.disable()

def draw():
    matrix = np.zeros(10)
    to_png(make_canvas(2.0))
    return weakref.ref(matrix)

held = draw()
print("held" if held() is not None else "free")
"""


def test_the_first_figure_holds_back_nothing_of_who_draws_it() -> None:
    """Exceptions of matplotlib's first import would hold its frames, and all they hold, until garbage is collected."""
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["free"]
