"""One month through the stages: it gives what the assets would give."""

import numpy as np
import pandas as pd

from segmentation_pipeline.spec import FitSpec
from segmentation_pipeline.stages.clustering import assign
from segmentation_pipeline.stages.encoding import transform
from simulation.months import fit_month
from simulation.world import simulate


def test_a_month_is_fitted_at_its_number_of_personas() -> None:
    """The sweep finds the five personas of the first month, and the clusters are they."""
    world = simulate(0)

    month = fit_month(world.frames[0], seed=1)

    counts = pd.crosstab(month.labels, world.truth.loc[world.truth["month"] == 0, "persona"].to_numpy())
    assert month.sweep.k == month.model.k == 5
    assert (counts.max(axis=1) / counts.sum(axis=1)).min() >= 0.9
    assert sorted(counts.idxmax(axis=1)) == ["a", "b", "c", "d", "e"]


def test_labels_are_those_of_the_saved_model_and_encoding() -> None:
    """A row encoded and assigned by itself has the label it has in the month."""
    frame = simulate(0, n_customers=300).frames[0]

    month = fit_month(frame, seed=1)

    alone = [assign(transform(frame.iloc[[row]], month.encoding).matrix, month.model).labels[0] for row in range(20)]
    assert alone == month.labels[:20].tolist()


def test_a_seed_replays_the_month() -> None:
    """The same seed gives the same centers; K can be fixed."""
    frame = simulate(1, n_customers=300).frames[0]

    one, again = fit_month(frame, seed=3, fit=FitSpec(k=4)), fit_month(frame, seed=3, fit=FitSpec(k=4))

    assert one.model.k == 4
    assert np.array_equal(one.model.centers, again.model.centers)
