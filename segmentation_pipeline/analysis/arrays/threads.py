"""How many threads a fit is worth: on few rows they wait for each other longer than they work."""

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
Made = TypeVar("Made")

# Up to it an iteration of K-Means takes a millisecond, as long as a thread takes to wake up on a busy machine.
ONE_THREAD_ROWS: Final = 5_000
# Up to it a fit holds the interpreter most of its time: two of them at once take longer than one after the other.
ONE_FIT_ROWS: Final = 2_000


@contextmanager
def threads_for(n_rows: int) -> Iterator[None]:
    """One thread for whatever is fitted inside on `n_rows` rows, where that is few; else as many as there are."""
    if n_rows > ONE_THREAD_ROWS:
        yield
        return
    with _libraries().limit(limits=1):
        yield


@contextmanager
def side_by_side(n_rows: int) -> Iterator[ThreadPoolExecutor]:
    """A pool for many small fits on finite samples of `n_rows` rows or fewer, each on one thread.

    As many at once as one large fit would take threads: a fit on a sample takes as long on two of them as on one. Where
    the rows are few, one after the other. scikit-learn does not look again at what it is given, which takes an eighth
    of the time of a sweep of 1,000 rows.
    """
    from sklearn.exceptions import ConvergenceWarning

    libraries = _libraries()
    n_threads = 1 if n_rows <= ONE_FIT_ROWS else _n_threads(libraries)
    with warnings.catch_warnings():  # as in `in_order`
        warnings.simplefilter("ignore", ConvergenceWarning)
        # OpenMP's limit is that of the thread that sets it, BLAS' that of all
        with libraries.limit(limits=1), ThreadPoolExecutor(n_threads, initializer=_begin_small_fits) as pool:
            yield pool


def _begin_small_fits() -> None:
    import sklearn

    _libraries().limit(limits=1)
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # of this thread


def in_order(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `work` makes of each of `items`, in their order, by as many threads as a library would take.

    An item is drawn only when there is a thread for it, so that few of them are in memory. Drawing is this thread's.
    """
    from threadpoolctl import ThreadpoolController

    # looking for libraries takes milliseconds; loading scikit-learn for it would take a second
    libraries = _libraries() if _libraries.cache_info().currsize else ThreadpoolController()
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


@functools.cache
def _libraries() -> ThreadpoolController:
    """The libraries that fits and dip tests use; they are loaded for it, as a limit holds for those that are."""
    import diptest  # noqa: F401
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _n_threads(libraries: ThreadpoolController) -> int:
    """As many as a numerical library would take: a container's quota and somebody's limit are in it."""
    return max((int(each["num_threads"]) for each in libraries.info()), default=1)
