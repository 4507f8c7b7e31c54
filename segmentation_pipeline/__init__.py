"""Customer segments that keep their meaning, as a Dagster component."""

from typing import TYPE_CHECKING, Any

from segmentation_pipeline.runtime.cpus import keep_to_quota

if TYPE_CHECKING:
    from segmentation_pipeline.orchestration.component import Segmentation

__all__ = ["Segmentation"]

# before numpy and scikit-learn are loaded: they look once
keep_to_quota()


def __getattr__(name: str) -> Any:  # the module protocol of PEP 562 types it as Any
    """Import the component when it is asked for: stages and storage work without Dagster."""
    if name == "Segmentation":
        from segmentation_pipeline.orchestration.component import Segmentation

        return Segmentation
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """Name the lazy component too: `dg list components` looks for it here."""
    return sorted({*globals(), *__all__})
