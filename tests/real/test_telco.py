"""7,043 customers of a telephone company, mostly categories, with eleven blanks among the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from support.real_data import OneMonth

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2].parent / "shared" / "data" / "telco_churn.csv"
N_ROWS, N_BLANKS = 7_043, 11
CATEGORIES = (
    "gender", "Partner", "Dependents", "PhoneService", "MultipleLines", "InternetService", "OnlineSecurity",
    "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies", "Contract",
    "PaperlessBilling", "PaymentMethod",
)  # fmt: skip


@pytest.fixture
def telco(one_month: OneMonth) -> OneMonth:
    """The file in a table as it is: TotalCharges is text, because it contains blanks."""
    if not SOURCE.exists():
        pytest.skip(f"{SOURCE} is not there: the real customers do not ship with the project")
    frame = pd.read_csv(SOURCE)
    assert (frame["TotalCharges"].str.strip() == "").sum() == N_BLANKS
    one_month.load("telco", frame, "customerID")
    return one_month


def _write_attributes(algorithm: str, missing: str) -> str:
    numbers = [
        "{column: tenure, kind: numeric}",
        "{column: MonthlyCharges, kind: numeric}",
        f"{{column: TotalCharges, kind: numeric, transform: sqrt, missing: {missing}}}",
    ]
    categories = [f"{{column: {column}, kind: categorical}}" for column in CATEGORIES]
    features = ", ".join([*numbers, *categories, "{column: SeniorCitizen, kind: boolean}"])
    return f"features: [{features}]\n  outcomes: [Churn]\n  fit: {{algorithm: {algorithm}}}\n  sweep: {{k_max: 6}}"


@pytest.mark.parametrize("algorithm", ["kmeans", "kprototypes"])
@pytest.mark.parametrize("missing", ["reject", "median"])
def test_blanks_are_rejected_or_imputed_and_counted(telco: OneMonth, algorithm: str, missing: str) -> None:
    """Every customer is in a segment or rejected with the reason, as the spec requires, and the counts add up."""
    outcome = telco.run("telco", "customerID", _write_attributes(algorithm, missing))

    assert outcome.success, outcome.problems
    n_rejected = N_BLANKS if missing == "reject" else 0
    ((used, *counts),) = telco.rows("SELECT algorithm, n_rows, n_assigned, n_rejected FROM segmentation.snapshot")
    assert used == algorithm
    assert counts == [N_ROWS, N_ROWS - n_rejected, n_rejected]
    reasons = telco.rows("SELECT reasons, count(*) FROM segmentation.telco_rejected GROUP BY 1")
    assert reasons == ([(["TotalCharges: ' ' is not a number"], N_BLANKS)] if n_rejected else [])
    shown = telco.rows("SELECT count(*), count(segment_id) FROM telco_target")
    assert shown == [(N_ROWS, N_ROWS - n_rejected)]
    if missing == "median":
        assert telco.metadata("telco", "encoded_features")["missing_values"].value == {"TotalCharges": N_BLANKS}
    rules = telco.artifact("telco", "aligned_segments", outcome).json("rules")
    assert rules["fidelity"] > 0.8
    assert (rules["n_rows"], rules["n_fitted"]) == (N_ROWS - n_rejected, N_ROWS - n_rejected)
