"""What `auto` is, and what a run reports when the memory does not suffice."""

from __future__ import annotations

import pytest

from segmentation_pipeline.analysis.clustering.algorithms.resolve import resolve_algorithm
from segmentation_pipeline.errors import NotEnoughMemoryError
from segmentation_pipeline.model import Memory


def _left(available: int, *, limit: int = 2 * 2**30) -> Memory:
    return Memory("this container", limit, available)


def test_auto_is_kmeans_unless_memory_is_short() -> None:
    """`auto` takes mini-batches where K-Means' copy of the matrix would not fit, and says so; what is named stays."""
    large = {"n_rows": 1_000_000, "n_columns": 100}

    assert resolve_algorithm("auto", **large).algorithm == "kmeans"
    assert resolve_algorithm("auto", **large, memory=_left(2 * 2**30)).algorithm == "kmeans"
    short = resolve_algorithm("auto", **large, memory=_left(400 * 2**20))
    assert short.algorithm == "minibatch_kmeans"
    assert "this container has 2.0 GiB, of which 0.4 GiB are free" in short.reason
    assert resolve_algorithm("hdbscan", **large, memory=_left(400 * 2**20)).algorithm == "hdbscan"


def test_what_does_not_fit_is_refused_with_what_would_help() -> None:
    """A named K-Means is not exchanged in silence: the message says how much is needed and the two ways out."""
    large = {"n_rows": 10_000_000, "n_columns": 37}

    with pytest.raises(NotEnoughMemoryError) as refused:
        resolve_algorithm("kmeans", **large, memory=_left(1_600 * 2**20))
    assert str(refused.value) == (
        "10,000,000 customers x 37 columns need about 2.4 GiB for kmeans, this container has 2.0 GiB, of which 1.6 GiB "
        "are free: raise the limit to 3 GiB or set fit.algorithm: minibatch_kmeans. Nothing was fitted."
    )
    with pytest.raises(NotEnoughMemoryError, match=r"1\.0 GiB for minibatch_kmeans.*to 3 GiB or take fewer customers"):
        resolve_algorithm("auto", **large, memory=_left(300 * 2**20))
    with pytest.raises(NotEnoughMemoryError, match=r"4\.2 GiB for minibatch_kmeans"):
        resolve_algorithm("auto", **large, memory=_left(1_600 * 2**20), text_keys=True)
    with pytest.raises(NotEnoughMemoryError, match="leave out `pca`"):
        resolve_algorithm("auto", **large, memory=_left(2**30), pca=True)
