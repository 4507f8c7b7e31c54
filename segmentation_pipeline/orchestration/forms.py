"""The forms of the jobs, and the description of each job in the UI: what it does and what to fill in."""

from typing import Final

import dagster as dg
from pydantic import Field

from segmentation_pipeline.model.commands import status_command

WAITING: Final = "0 means the snapshot that waits, if there is only one."
NAMED: Final = f"It must be filled in: `{status_command()}` lists the published ones."
SNAPSHOT: Final = f"The number of the snapshot, as the check `approval` and `{status_command()}` show it."


class Decide(dg.Config):
    """The form of approve and of decline."""

    snapshot_id: int = Field(0, description=f"{SNAPSHOT} {WAITING}")
    who: str = Field("", description="Your name: it is kept with the decision and may not be empty.")
    reason: str = Field("", description="Why; kept with the decision. May be empty.")


class RollBack(dg.Config):
    """The form of rollback."""

    snapshot_id: int = Field(0, description=f"{SNAPSHOT} {NAMED}")
    who: str = Field("", description="Your name: it is kept with the decision and may not be empty.")
    reason: str = Field("", description="Why; kept with the decision. May be empty.")


class Rename(dg.Config):
    """The form of rename."""

    segment_id: int = Field(0, description="The number of the segment, as `aligned_segments` shows it.")
    name: str = Field("", description="What people call it from now on; the name stays with the number for ever.")
    description: str = Field("", description="What the segment is, in a sentence. Empty: the present text stays.")


def describe_chain(name: str) -> str:
    """Return the description of the job that runs periods."""
    return (
        f"One period of {name} through the whole chain: from the source to a segment for each customer.\n\n"
        "- **One period**: *Materialize…*, choose the period, *Launch run*.\n"
        "- **A backfill**: the same with a range of periods, or *All*. Each period is a run of its own. They run in "
        "order of time, and a period that fails does not stop the later ones.\n\n"
        "There is nothing to fill in: everything else is in the segmentation's `defs.yaml`. A period whose gates fail "
        f"is not published; its check says why. A period that needs a person waits for `{name}_approve` or "
        f"`{name}_decline`.\n\n"
        "**At a glance**: *Partitions*, *Show per-asset status*. A period that is green in `aligned_segments` "
        "and empty in `published_segments` waits or was declined; red in `aligned_segments`, it failed a gate."
    )


def describe_scoring(name: str) -> str:
    """Return the description of the job that scores."""
    return (
        f"Assigns today's customers of {name} to the published segments, without a fit: new and changed ones get a "
        "segment between two periods. The segments themselves stay as they are.\n\n"
        "*Materialize*; there is nothing to fill in. The check `distance_drift` warns when segments are out of date."
    )


def describe_decision(summary: str, op: str, form: type[dg.Config]) -> str:
    """Return the description of a job with a form: what it does, and each field with its default."""
    rows = [
        f"- `{name}` ({'empty' if field.default == '' else field.default}): {field.description}"
        for name, field in form.model_fields.items()
    ]
    how = f"Fill in the form under *Launchpad*, below `{op}`, and *Launch run*. Its fields, with their defaults:"
    return "\n".join([summary, "", how, "", *rows])
