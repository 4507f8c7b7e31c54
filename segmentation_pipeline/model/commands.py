"""Every command that a message shows, spelled once; a test parses each of them with the command line itself."""

from __future__ import annotations


def init_command(name: str = "NAME", *, table: str = "SCHEMA.TABLE", key: str = "COLUMN") -> str:
    """Return the command that looks at a table and writes a defs.yaml for it."""
    return f"segmentation init {name} --table {table} --key {key}"


def demo_command() -> str:
    """Return the command that makes the synthetic shop and runs it."""
    return "segmentation demo"


def doctor_command() -> str:
    """Return the command that looks for problems and prints how to fix them."""
    return "segmentation doctor"


def run_command(name: str, partition: str | None = None) -> str:
    """Return the command that runs one period; without `partition` it is the latest complete one."""
    return f"segmentation run {name}" + (f" --partition {partition}" if partition is not None else "")


def backfill_command(name: str, first: str, last: str) -> str:
    """Return the command that runs the periods from `first` to `last`, in order."""
    return f"segmentation backfill {name} --from {first} --to {last}"


def score_command(name: str) -> str:
    """Return the command that scores the customers by the published segments."""
    return f"segmentation score {name}"


def status_command(name: str | None = None) -> str:
    """Return the command that lists snapshots and segments, of one segmentation or of all."""
    return "segmentation status" + (f" {name}" if name is not None else "")


def report_command(name: str = "NAME", *, file: str = "FILE") -> str:
    """Return the command that writes the report into a file."""
    return f"segmentation report {name} -o {file}"


def name_command(name: str, segment_id: int, text: str = "…") -> str:
    """Return the command that names a segment; `text` is what people will call it."""
    return f'segmentation name {name} {segment_id} "{text}"'


def approve_command(name: str, snapshot_id: int) -> str:
    """Return the command that publishes a snapshot that waits for a person."""
    return f"segmentation approve {name} {snapshot_id}"


def decline_command(name: str, snapshot_id: int) -> str:
    """Return the command that leaves a snapshot that waits for a person unpublished."""
    return f"segmentation decline {name} {snapshot_id}"


def rollback_command(name: str, snapshot_id: int | None = None) -> str:
    """Return the command that makes an earlier snapshot current again; None leaves its number to be filled in."""
    return f"segmentation rollback {name} {'SNAPSHOT_ID' if snapshot_id is None else snapshot_id}"


def gc_command(name: str = "NAME") -> str:
    """Return the command that removes what is older than the retention settings keep."""
    return f"segmentation gc {name}"
