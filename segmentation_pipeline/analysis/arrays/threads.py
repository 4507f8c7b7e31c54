"""How many threads a fit is worth: on few rows, threads wait for each other longer than they work."""

from __future__ import annotations

import functools
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

# Up to this many rows an iteration of K-Means takes a millisecond, as long as a thread takes to wake up on a busy
# machine.
ONE_THREAD_ROWS: Final = 5_000
# Up to this many rows a fit holds the interpreter lock most of its time: two fits at once take longer than one after
# the other.
ONE_FIT_ROWS: Final = 2_000


@contextmanager
def limit_threads(n_rows: int) -> Iterator[None]:
    """Limit numerical libraries to one thread inside the context where `n_rows` is at most ONE_THREAD_ROWS."""
    if n_rows > ONE_THREAD_ROWS:
        yield
        return
    with _load_libraries().limit(limits=1):
        yield


@contextmanager
def open_fit_pool(n_rows: int) -> Iterator[ThreadPoolExecutor]:
    """Open a pool for many small fits on finite samples of `n_rows` rows or fewer, each on one thread.

    The pool runs as many fits at once as one large fit would take threads, because a fit on a sample takes as long on
    two threads as on one. Up to ONE_FIT_ROWS rows it runs one fit after the other. scikit-learn's checks of its input
    are off: they take an eighth of the time of a sweep of 1,000 rows.
    """
    from sklearn.exceptions import ConvergenceWarning

    libraries = _load_libraries()
    n_threads = 1 if n_rows <= ONE_FIT_ROWS else _count_threads(libraries)
    with warnings.catch_warnings():  # here and not in the threads, as in `map_in_order`
        warnings.simplefilter("ignore", ConvergenceWarning)
        # OpenMP's limit holds for the thread that sets it, that of BLAS for all threads
        with libraries.limit(limits=1), ThreadPoolExecutor(n_threads, initializer=_begin_small_fits) as pool:
            yield pool


def _begin_small_fits() -> None:
    import sklearn

    _load_libraries().limit(limits=1)
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # of this thread


def map_in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield what `work` returns for each of `items`, in their order, computed by as many threads as a library takes.

    An item is drawn only when a thread is free for it, so that few items are in memory at once. The calling thread
    draws them.
    """
    from threadpoolctl import ThreadpoolController

    # looking for libraries takes milliseconds; loading scikit-learn for it would take a second
    libraries = _load_libraries() if _load_libraries.cache_info().currsize else ThreadpoolController()
    if (n_threads := _count_threads(libraries)) == 1:
        yield from map(work, items)
        return
    # warning filters belong to the process: threads that each set and restore them would leave another thread's behind
    with warnings.catch_warnings(), libraries.limit(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) == n_threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@functools.cache
def _load_libraries() -> ThreadpoolController:
    """Return the controller of the libraries that fits and dip tests use; loads them, as it sees loaded ones only."""
    import diptest  # noqa: F401
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _count_threads(libraries: ThreadpoolController) -> int:
    """Return how many threads a numerical library would take: a container's quota and earlier limits count."""
    return max((int(library["num_threads"]) for library in libraries.info()), default=1)
