"""Erasing one customer: from the history, the scored and rejected rows, the target's segment and the artifacts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.errors import ErasureRefusedError
from segmentation_pipeline.model.key import is_integer_key
from segmentation_pipeline.storage.artifacts.erase import erase_from_artifacts
from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.registry.connection import transaction
from segmentation_pipeline.storage.registry.erase import erase_rows
from segmentation_pipeline.storage.warehouse.open import target_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.spec import PublishSpec, SegmentationSpec
    from segmentation_pipeline.storage.artifacts.store import ArtifactStore
    from segmentation_pipeline.storage.registry.connection import Connection
    from segmentation_pipeline.storage.registry.snapshots import Ledger


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased: rows of the tables, emptied rows of the target, artifacts by stage/partition/run."""

    history: int = 0
    scored: int = 0
    rejected: int = 0
    target: int = 0
    rewritten: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything was kept of the customer."""
        return any((self.history, self.scored, self.rejected, self.target, self.rewritten, self.removed))


def forget_customer(spec: SegmentationSpec, store: ArtifactStore, text: str, *, running: Sequence[str]) -> Forgotten:
    """Erase the customer whose key is `text` from everything that a segmentation keeps, in a transaction of its own.

    `running` are the ids of the segmentation's runs that are in progress.

    Raises:
        ErasureRefusedError: a run is in progress, which would write the customer again, or `text` cannot be a key.
        ArtifactError: an artifact could not be rewritten.
    """
    if running:
        message = (
            f"the run {running[0][:8]} of {spec.name} is in progress and would write the customer again. "
            f"Nothing was erased. Wait for it to end, or terminate it in the UI, and do it again."
        )
        raise ErasureRefusedError(message)
    schema.migrate(spec.publish.url_env)
    with transaction(spec.publish.url_env) as connection:
        return forget(connection, spec.publish, store, spec.name, text)


def forget(connection: Connection, publish: PublishSpec, store: ArtifactStore, name: str, text: str) -> Forgotten:
    """Erase the customer whose key is `text` inside the open transaction, under the segmentation's lock.

    The artifacts are rewritten before the transaction ends: where that fails the tables stay as they were, and the same
    command does it again.

    Raises:
        ErasureRefusedError: `text` cannot be a key of this segmentation.
        ArtifactError: an artifact could not be rewritten.
    """
    ledger = snapshots.lock(connection, name)
    if ledger is None:
        return Forgotten()
    key = parse_key(ledger, text)
    rows = erase_rows(connection, ledger, key)
    target = target_for(publish, connection).clear_customer(key, key_type=ledger.key_type)
    artifacts = erase_from_artifacts(store, ledger.key_name, key)
    return Forgotten(rows.history, rows.scored, rows.rejected, target, artifacts.rewritten, artifacts.removed)


def parse_key(ledger: Ledger, text: str) -> int | str:
    """Return the key as it is stored: an integer, a uuid in its usual spelling, or the text itself.

    Raises:
        ErasureRefusedError: the text is not such a key.
    """
    try:
        if ledger.key_type == "uuid":
            return str(uuid.UUID(text))
        if not is_integer_key(ledger.key_type):
            return text
        if abs(number := int(text)) < 2**63:
            return number
    except ValueError:
        pass
    message = (
        f"{text!r} is not a key of {ledger.name}: {ledger.key_name} is of type {ledger.key_type}. Nothing was erased."
    )
    raise ErasureRefusedError(message)
