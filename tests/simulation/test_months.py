"""One month through the steps: the results are those of the assets."""

import numpy as np
import pandas as pd
from support.simulation.baselines import nearest_centroid_ids
from support.simulation.months import assigned_rows, fit_month, fit_months
from support.simulation.truth import score_run
from support.simulation.world import NUMBERS, simulate

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import transform
from segmentation_pipeline.spec import FitSpec


def test_a_month_is_fitted_at_its_number_of_personas() -> None:
    """The sweep finds the five personas of the first month, and the clusters are these personas."""
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
    """The same seed leads to the same centers; K can be fixed."""
    frame = simulate(1, n_customers=300).frames[0]

    one, again = fit_month(frame, seed=3, fit=FitSpec(k=4)), fit_month(frame, seed=3, fit=FitSpec(k=4))

    assert one.model.k == 4
    assert np.array_equal(one.model.centers, again.model.centers)


def test_a_world_is_scored_from_its_fits() -> None:
    """Ids from the truth itself have no fault, from births to returns; the baselines have faults."""
    world = simulate(0, n_customers=800)
    fits = fit_months(world, seed=5)
    # a merged persona and the children of a split differ by name, as segments do by id
    split = next(event for event in world.events if event.kind == "split")
    numbers = {name: number for number, name in enumerate(sorted(set(world.truth["persona"])), start=1)}
    numbers[split.others[0]] = numbers[split.persona]
    ideal = [
        world.truth.loc[world.truth["month"] == month, "persona"].map(numbers).to_numpy() for month in range(len(fits))
    ]
    nearest = nearest_centroid_ids(world.frames, [fit.labels for fit in fits], columns=NUMBERS)

    score = score_run(
        assigned_rows(world, fits, {"segment_id": ideal, "nearest": nearest}), world.events, baselines=["nearest"]
    )

    assert score.segments.share == 1.0
    assert (score.returns, score.returned_wrong) == (1, ())
    assert (score.splits, score.split_wrong) == (1, ())
    assert (score.shared, score.reused, score.taken_over) == ((), (), ())
    assert score.others["cluster"].share < 0.5
    assert score.others["nearest"].share < 1.0
