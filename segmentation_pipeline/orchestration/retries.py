"""How a step shows its errors to people, and tries again what may pass."""

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from segmentation_pipeline.errors import SegmentationError, TransientDatabaseError, UnreachableError
from segmentation_pipeline.runtime.memory import measure_memory, release_memory

# a database that restarts is back within seconds
TRIES = 3


RETRY_SECONDS = 2.0


RETRY_FACTOR = 4


Step = Callable[..., dg.MaterializeResult[Any] | dg.AssetCheckResult]


def to_generator(step: Step) -> Callable[..., Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]]:
    """Make a generator of a step: only what is not yielded is left out."""

    @functools.wraps(step)
    def yielded(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        yield step(context)

    return yielded


def _describe_limit() -> str:
    """Who allows how much memory, as a sentence."""
    known = measure_memory()
    # not capitalize(): it would write the name of a variable in small letters
    return (
        f"{known.where[:1].upper()}{known.where[1:]} has {known.limit / 2**30:.1f} GiB. " if known is not None else ""
    )


def with_user_errors(step: Step) -> Step:
    """Show an error of this package as its message alone, try again what may pass, and note how long the step took."""

    @functools.wraps(step)
    def told(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any] | dg.AssetCheckResult:
        started = time.monotonic()
        try:
            result = step(context)
        except SegmentationError as error:
            said, tried = str(error), context.retry_number + 1
            if isinstance(error, TransientDatabaseError | UnreachableError):
                if tried < TRIES:
                    wait = RETRY_SECONDS * RETRY_FACTOR**context.retry_number
                    context.log.warning(f"{said} Try {tried + 1} of {TRIES} in {wait:g} s.")
                    raise dg.RetryRequested(max_retries=TRIES - 1, seconds_to_wait=wait) from error
                said = f"{said} It was tried {TRIES} times."
            raise dg.Failure(said, metadata={"error": type(error).__name__}, allow_retries=False) from error
        except MemoryError as error:
            said = f"out of memory: {error}. {_describe_limit()}Raise the limit, or take fewer customers or features."
            raise dg.Failure(said, metadata={"error": type(error).__name__}, allow_retries=False) from error
        finally:
            release_memory()
        if isinstance(result, dg.AssetCheckResult):
            return result
        return result._replace(metadata={**(result.metadata or {}), "seconds": round(time.monotonic() - started, 2)})

    # Dagster reads the signature; a generic return type it takes for several outputs
    signature = inspect.signature(step).replace(return_annotation=inspect.Signature.empty)
    told.__signature__ = signature  # type: ignore[attr-defined]
    told.__annotations__ = {name: each for name, each in step.__annotations__.items() if name != "return"}
    return told
