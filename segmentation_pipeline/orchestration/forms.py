"""The forms of the jobs, and what the UI says about each job: what it does and what to fill in."""

import dagster as dg
from pydantic import Field

from segmentation_pipeline.model.commands import status_command

WAITING = "0 is the one that waits, if it is the only one."
NAMED = f"It has to be named: `{status_command()}` lists the published ones."
SNAPSHOT = f"The number of the snapshot, as the check `approval` and `{status_command()}` give it."


class Decide(dg.Config):
    """What approve and decline ask."""

    snapshot_id: int = Field(0, description=f"{SNAPSHOT} {WAITING}")
    who: str = Field("", description="Your name: it is kept with the decision, so it may not be empty.")
    reason: str = Field("", description="Why; kept with the decision. May be empty.")


class RollBack(dg.Config):
    """What rollback asks."""

    snapshot_id: int = Field(0, description=f"{SNAPSHOT} {NAMED}")
    who: str = Field("", description="Your name: it is kept with the decision, so it may not be empty.")
    reason: str = Field("", description="Why; kept with the decision. May be empty.")


class Rename(dg.Config):
    """What rename asks."""

    segment_id: int = Field(0, description="The number of the segment, as `aligned_segments` shows it.")
    name: str = Field("", description="What people call it from now on; it stays with the number for ever.")
    description: str = Field("", description="What the segment is, in a sentence. Empty: the present one stays.")


def describe_chain(name: str) -> str:
    """What the UI says of the job that runs periods."""
    return (
        f"One period of {name} through the whole chain: from the source to a segment for each customer.\n\n"
        "- **One period**: *Materialize…*, choose it, *Launch run*.\n"
        "- **A backfill**: the same with a range of periods, or *All*. Each period is a run of its own; they run in "
        "order of time, and one that fails does not stop the later ones.\n\n"
        "There is nothing to fill in: everything else is in the segmentation's `defs.yaml`. A period whose gates fail "
        f"is not published; its check says why. One that needs a person waits for `{name}_approve` or "
        f"`{name}_decline`.\n\n"
        "**At a glance**: *Partitions*, *Show per-asset status*. Green in `aligned_segments` and empty in "
        "`published_segments` is a period that waits or was declined; red there failed a gate."
    )


def describe_scoring(name: str) -> str:
    """What the UI says of the job that scores."""
    return (
        f"Today's customers of {name} by the published segments, without a fit: who is new or has changed gets a "
        "segment between two periods. The segments themselves stay as they are.\n\n"
        "*Materialize*; there is nothing to fill in. The check `distance_drift` warns when segments are out of date."
    )


def describe_decision(summary: str, op: str, form: type[dg.Config]) -> str:
    """What the UI says of a job with a form: what it does, and each field with its default."""
    rows = [
        f"- `{field}` ({'empty' if each.default == '' else each.default}): {each.description}"
        for field, each in form.model_fields.items()
    ]
    how = f"Fill in the form under *Launchpad*, below `{op}`, and *Launch run*. Its fields, with their defaults:"
    return "\n".join([summary, "", how, "", *rows])
