"""The extreme customers of Online Retail form no segment: recency, frequency and spend, at every K up to 10."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.analysis.features.inference import infer_features
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.analysis.selection.diagnosis.diagnose import diagnose
from segmentation_pipeline.spec import FeatureSpec

SOURCE = Path(__file__).parents[2].parent / "shared" / "data" / "online_retail.parquet"
AS_OF = datetime(2011, 12, 10, tzinfo=UTC)
EXTREME = [12346, 16446]  # each bought for a fortune and sent it back at once
RFM = ("last_bought_at", "frequency", "spend")


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    """Every customer who ever bought: the last purchase, the number of invoices, the money net of returns."""
    if not SOURCE.exists():
        pytest.skip(f"{SOURCE} is not there: the real orders do not ship with the project")
    lines = pd.read_parquet(SOURCE).dropna(subset=["CustomerID"])
    lines["amount"] = lines["Quantity"] * lines["UnitPrice"].astype(float)
    bought = lines[lines["Quantity"] > 0].groupby("CustomerID")
    frame = pd.DataFrame(
        {
            "last_bought_at": bought["InvoiceDate"].max(),
            "frequency": bought["InvoiceNo"].nunique(),
            "spend": lines.groupby("CustomerID")["amount"].sum(),
        }
    )
    return frame.dropna().rename_axis("customer_id").reset_index()


def _find_smallest_shares(customers: pd.DataFrame, features: list[FeatureSpec]) -> list[float]:
    rows = validate(customers, features, key="customer_id", as_of=AS_OF).rows
    assert len(rows) == len(customers)
    assert set(EXTREME) <= set(rows["customer_id"].astype(int))
    encoded = transform(rows, fit_encoding(rows, features))
    shares = []
    for k in range(2, 11):
        fit = fit_kmeans(encoded.matrix[~encoded.outliers], k, n_init=10, seed=0)
        shares.append(np.bincount(assign(encoded.matrix, fit.model).labels, minlength=k).min() / len(rows))
    return shares


def _make_features(**options: str) -> list[FeatureSpec]:
    return [
        FeatureSpec(column=column, kind="date" if column == "last_bought_at" else "numeric", **options)
        for column in RFM
    ]  # fmt: skip


def test_with_raw_numbers_the_extreme_form_a_segment(customers: pd.DataFrame) -> None:
    """Without transform and winsorizing every K has a segment of a few dozen customers or fewer."""
    assert max(_find_smallest_shares(customers, _make_features())) < 0.01


def test_automatic_features_avoid_small_segments(customers: pd.DataFrame) -> None:
    """With `features: auto` every segment has more than 5 % of the customers."""
    inferred = list(infer_features(customers, key="customer_id", as_of=AS_OF).features)

    assert [(feature.column, feature.transform) for feature in inferred] == [
        ("last_bought_at", "log1p"), ("frequency", "log1p"), ("spend", "yeo-johnson")
    ]  # fmt: skip
    assert min(_find_smallest_shares(customers, inferred)) > 0.05


@pytest.mark.parametrize("options", [{"outliers": "winsorize"}, {"outliers": "remove"}])
def test_winsorized_or_removed_outliers_avoid_small_segments(customers: pd.DataFrame, options: dict[str, str]) -> None:
    """Without a transform, winsorizing or removing outliers is enough."""
    assert min(_find_smallest_shares(customers, _make_features(**options))) > 0.01


@pytest.mark.slow
def test_the_diagnosis_names_every_small_segment_of_medoids(customers: pd.DataFrame) -> None:
    """On raw numbers every segment of k-medoids is above 1 % up to K = 6; from 7 on the diagnosis names the outliers'."""
    features = _make_features()
    rows = validate(customers, features, key="customer_id", as_of=AS_OF).rows
    encoding = fit_encoding(rows, features)
    matrix = transform(rows, encoding).matrix
    small = {}
    for k in range(2, 11):
        fit = fit_model(matrix, algorithm="kmedoids", k=k, n_init=10, seed=0, encoding=encoding)
        labels = assign(matrix, fit.model).labels
        if np.bincount(labels).min() < 0.01 * len(rows):
            findings = diagnose(
                matrix,
                encoding=encoding,
                labels=labels,
                centers=fit.model.centers,
                inertias={},
                n_iter=fit.n_iter,
                converged=fit.converged,
                rng=np.random.default_rng(0),
            )
            small[k] = {finding.name for finding in findings if finding.severity == "warn"}
    assert set(small).isdisjoint(range(2, 7))
    assert all("outlier_cluster" in names for names in small.values())
