"""How many threads a fit is worth: on few rows they wait for each other longer than they work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Up to it an iteration of K-Means takes a millisecond, as long as a thread takes to wake up on a busy machine.
ONE_THREAD_ROWS: Final = 5_000


@contextmanager
def threads_for(n_rows: int) -> Iterator[None]:
    """One thread for whatever is fitted inside on `n_rows` rows, where that is few; else as many as there are."""
    if n_rows > ONE_THREAD_ROWS:
        yield
        return
    import sklearn.cluster  # noqa: F401  a limit holds for the libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
