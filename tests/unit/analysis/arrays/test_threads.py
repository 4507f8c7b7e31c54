"""Work in threads: the order stays, few items are drawn ahead, and a failure comes at its place."""

from collections.abc import Iterator
from threading import get_ident

import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from segmentation_pipeline.analysis.arrays.threads import in_order, side_by_side, threads_for

A_FIT = 1_000


def _most_threads() -> int:
    return max(each["num_threads"] for each in threadpool_info())


@given(st.lists(st.integers(), max_size=30))
def test_what_is_made_comes_in_the_order_of_the_items(items: list[int]) -> None:
    """Whichever thread is done first."""
    assert list(in_order(lambda item: item * 2, items)) == [item * 2 for item in items]


def test_an_item_is_drawn_only_when_there_is_a_thread_for_it() -> None:
    """No more items are in memory than there are threads: blocks of a table that is larger than it."""
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            drawn.append(item)
            yield item

    for taken, _ in enumerate(in_order(lambda item: item, items()), start=1):
        assert len(drawn) <= taken + _most_threads()
    assert len(drawn) == 100


def test_one_processor_does_it_itself() -> None:
    """Where a library would take one thread, no other is started."""
    with threadpool_limits(1):
        assert set(in_order(lambda _: get_ident(), range(5))) == {get_ident()}


def test_a_failure_comes_at_its_place() -> None:
    """What was made before it is given first, and nothing after it."""
    made = in_order(lambda item: 6 // item, [1, 2, 0, 3])

    assert [next(made), next(made)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_fits_side_by_side_have_one_thread_each() -> None:
    """As many workers as one large fit would take threads, and none of them starts more."""
    wanted = _most_threads()
    with side_by_side(100 * A_FIT) as pool:
        limits = list(pool.map(lambda _: _most_threads(), range(4)))
        workers = pool._max_workers

    assert workers == wanted
    assert limits == [1] * 4
    assert _most_threads() == wanted


def test_fits_on_few_rows_come_one_after_the_other() -> None:
    """Two of them at once would wait for the interpreter longer than they work."""
    with side_by_side(A_FIT) as pool:
        assert len(set(pool.map(lambda _: get_ident(), range(8)))) == 1


def test_small_fits_are_not_checked_and_others_still_are() -> None:
    """What scikit-learn leaves out is of the pool's threads alone."""
    before = sklearn.get_config()
    with side_by_side(A_FIT) as pool:
        inside = pool.submit(sklearn.get_config).result()
        assert sklearn.get_config() == before

    assert inside == {**before, "assume_finite": True, "skip_parameter_validation": True}
    assert sklearn.get_config() == before


def test_few_rows_are_worth_one_thread() -> None:
    """And afterwards there are as many as before."""
    before = _most_threads()
    with threads_for(A_FIT):
        assert _most_threads() == 1
    with threads_for(100 * A_FIT):
        assert _most_threads() == before
