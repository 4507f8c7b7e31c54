"""The same month by hand, the usual way: read_sql, ColumnTransformer, a K-Means sweep, to_sql and an UPDATE.

Run as `python tests/benchmarks/by_hand.py URL TABLE TARGET`; the peer that `end_to_end.py` measures the pipeline
against. Each K is fitted from ten k-means++ starts, as the pipeline does: a single one, which scikit-learn makes by itself,
often ends in a local optimum. STARTS in the environment takes another number.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pandas as pd
import sqlalchemy as sa
from shop import CATEGORICAL, NUMERIC
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler


def main(url: str, table: str, target: str) -> None:
    """Read the customers, choose K by a sampled silhouette, and write the labels back."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    frame = pd.read_sql(f"SELECT * FROM {table}", engine)
    encode = ColumnTransformer(
        [
            ("numbers", make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), list(NUMERIC)),
            ("categories", OneHotEncoder(sparse_output=False), list(CATEGORICAL)),
        ]
    )
    matrix = encode.fit_transform(frame)
    best, labels, highest = 0, np.zeros(0, dtype=np.int32), -1.0
    for k in range(2, 11):
        fit = KMeans(k, n_init=int(os.environ.get("STARTS", "10")), random_state=0).fit(matrix)
        score = silhouette_score(matrix, fit.labels_, sample_size=10_000, random_state=0)
        if score > highest:
            best, labels, highest = k, fit.labels_, score
    segments = pd.DataFrame({"customer_id": frame["customer_id"], "segment_id": labels})
    segments.to_sql("by_hand_labels", engine, if_exists="replace", index=False)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                f"UPDATE {target} t SET segment_id = l.segment_id, last_updated = now() FROM by_hand_labels l "
                "WHERE t.user_id = l.customer_id"
            )
        )
    print(f"by hand: K = {best}, silhouette {highest:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
