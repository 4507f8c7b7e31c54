"""K-medoids: the centers are customers."""

from __future__ import annotations

import numpy as np
from support.algorithms import fit_rows, rows_for


def test_medoids_are_customers() -> None:
    """A medoid is a row of the matrix, and far customers do not drag it along as they do a mean."""
    matrix, encoding = rows_for("kmedoids")
    matrix[:4] = 40

    model = fit_rows("kmedoids", matrix, encoding).model

    assert all((matrix == center.astype(np.float32)).all(axis=1).any() for center in model.centers)
    assert sorted(round(float(center.mean())) for center in model.centers) == [0, 4, 9]
