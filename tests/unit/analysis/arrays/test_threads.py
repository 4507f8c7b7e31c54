"""Work in threads keeps its order, draws few items ahead, and raises a failure at its place."""

from collections.abc import Iterator
from threading import get_ident

import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from segmentation_pipeline.analysis.arrays.threads import limit_threads, map_in_order, open_fit_pool

A_FIT = 1_000


def _most_threads() -> int:
    return max(library["num_threads"] for library in threadpool_info())


@given(st.lists(st.integers(), max_size=30))
def test_what_is_made_comes_in_the_order_of_the_items(items: list[int]) -> None:
    """Results come in the order of the items, whichever thread finishes first."""
    assert list(map_in_order(lambda item: item * 2, items)) == [item * 2 for item in items]


def test_an_item_is_drawn_only_when_there_is_a_thread_for_it() -> None:
    """No more items are in memory than there are threads: they may be blocks of a table larger than memory."""
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            drawn.append(item)
            yield item

    for taken, _ in enumerate(map_in_order(lambda item: item, items()), start=1):
        assert len(drawn) <= taken + _most_threads()
    assert len(drawn) == 100


def test_one_processor_starts_no_thread() -> None:
    """Where a library would take one thread, the calling thread does the work."""
    with threadpool_limits(1):
        assert set(map_in_order(lambda _: get_ident(), range(5))) == {get_ident()}


def test_a_failure_comes_at_its_place() -> None:
    """Results before a failure are yielded first, and none after it."""
    made = map_in_order(lambda item: 6 // item, [1, 2, 0, 3])

    assert [next(made), next(made)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_fits_side_by_side_have_one_thread_each() -> None:
    """There are as many workers as one large fit would take threads, and none of them starts more threads."""
    wanted = _most_threads()
    with open_fit_pool(100 * A_FIT) as pool:
        limits = list(pool.map(lambda _: _most_threads(), range(4)))
        workers = pool._max_workers

    assert workers == wanted
    assert limits == [1] * 4
    assert _most_threads() == wanted


def test_fits_on_few_rows_come_one_after_the_other() -> None:
    """Fits on few rows run in one worker: two at once would wait for the interpreter longer than they work."""
    with open_fit_pool(A_FIT) as pool:
        assert len(set(pool.map(lambda _: get_ident(), range(8)))) == 1


def test_small_fits_are_not_checked_and_others_still_are() -> None:
    """Only in the pool's threads does scikit-learn leave out its checks of the input."""
    before = sklearn.get_config()
    with open_fit_pool(A_FIT) as pool:
        inside = pool.submit(sklearn.get_config).result()
        assert sklearn.get_config() == before

    assert inside == {**before, "assume_finite": True, "skip_parameter_validation": True}
    assert sklearn.get_config() == before


def test_few_rows_are_worth_one_thread() -> None:
    """Few rows get one thread, and afterwards there are as many threads as before."""
    before = _most_threads()
    with limit_threads(A_FIT):
        assert _most_threads() == 1
    with limit_threads(100 * A_FIT):
        assert _most_threads() == before
