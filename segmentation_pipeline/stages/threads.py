"""How many threads a fit is worth: on few rows they wait for each other longer than they work."""

from __future__ import annotations

import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Made = TypeVar("Made")

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


@contextmanager
def side_by_side() -> Iterator[ThreadPoolExecutor]:
    """A pool for many small fits at once, each on one thread; as many as one large fit would take.

    A fit on a sample takes as long on two threads as on one, and two of them side by side half of it.
    """
    import sklearn.cluster  # noqa: F401  as above
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import ThreadpoolController, threadpool_limits

    libraries = ThreadpoolController()
    n_threads = _n_threads(libraries)
    with warnings.catch_warnings():  # as in `in_order`
        warnings.simplefilter("ignore", ConvergenceWarning)
        # OpenMP's limit is that of the thread that sets it, BLAS' that of all
        with (
            libraries.limit(limits=1),
            ThreadPoolExecutor(n_threads, initializer=threadpool_limits, initargs=(1,)) as pool,
        ):
            yield pool


def in_order(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `work` makes of each of `items`, in their order, by as many threads as a library would take.

    An item is drawn only when there is a thread for it, so that few of them are in memory. Drawing is this thread's.
    """
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController()
    if (n_threads := _n_threads(libraries)) == 1:
        yield from map(work, items)
        return
    # filters are the process's: threads that each set and restore their own would leave somebody else's behind
    with warnings.catch_warnings(), libraries.limit(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        running: deque[Future[Made]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) == n_threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _n_threads(libraries: ThreadpoolController) -> int:
    """As many as a numerical library would take: a container's quota and somebody's limit are in it."""
    return max((int(each["num_threads"]) for each in libraries.info()), default=1)
