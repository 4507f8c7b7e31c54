"""How a step shows its errors to people, and how it is tried again after an error that may pass."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg

from segmentation_pipeline.errors import SegmentationError, TransientDatabaseError, UnreachableError
from segmentation_pipeline.runtime.memory import measure_memory, release_memory

# a database that restarts is back within seconds
TRIES: Final = 3
RETRY_SECONDS: Final = 2.0
RETRY_FACTOR: Final = 4

StepResult = dg.MaterializeResult[Any] | dg.AssetCheckResult  # its value, which no asset has
Step = Callable[..., StepResult]


def with_user_errors(step: Step) -> Callable[..., Iterator[StepResult]]:
    """Wrap a step: show this package's errors as their message alone, try again what may pass, note the seconds.

    The wrapper is a generator, because Dagster requires every output of a function that returns, and only the yielded
    ones of a generator: an optional asset may yield its check alone.
    """

    def run(context: dg.AssetExecutionContext) -> Iterator[StepResult]:
        started = time.monotonic()
        try:
            result = step(context)
        except SegmentationError as error:
            message, attempt = str(error), context.retry_number + 1
            if isinstance(error, TransientDatabaseError | UnreachableError):
                if attempt < TRIES:
                    wait = RETRY_SECONDS * RETRY_FACTOR**context.retry_number
                    context.log.warning(f"{message} Try {attempt + 1} of {TRIES} in {wait:g} s.")
                    raise dg.RetryRequested(max_retries=TRIES - 1, seconds_to_wait=wait) from error
                message = f"{message} It was tried {TRIES} times."
            raise _make_failure(error, message) from error
        except MemoryError as error:
            advice = "Raise the limit, or take fewer customers or features."
            raise _make_failure(error, f"out of memory: {error}. {_describe_limit()}{advice}") from error
        finally:
            release_memory()
        if isinstance(result, dg.MaterializeResult):
            seconds = round(time.monotonic() - started, 2)
            result = result._replace(metadata={**(result.metadata or {}), "seconds": seconds})
        yield result

    return run


@contextmanager
def user_errors() -> Iterator[None]:
    """Show this package's errors as their message alone."""
    try:
        yield
    except SegmentationError as error:
        raise _make_failure(error, str(error)) from error


def _make_failure(error: Exception, message: str) -> dg.Failure:
    return dg.Failure(message, metadata={"error": type(error).__name__}, allow_retries=False)


def _describe_limit() -> str:
    """Return which limit there is on memory, as a sentence; empty where it is not known."""
    known = measure_memory()
    if known is None:
        return ""
    # not capitalize(), which would change the name of a variable to small letters
    return f"{known.where[:1].upper()}{known.where[1:]} has {known.limit / 2**30:.1f} GiB. "
