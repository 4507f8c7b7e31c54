"""The artifact store: `<home>/artifacts/<segmentation>/<stage>/<partition>/<run id>/` with a manifest.

A directory is written aside and renamed into place, so one without a manifest does not exist. Parquet, Arrow and JSON
only; open to the owner only.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.errors import ArtifactError
from segmentation_pipeline.runtime.home import make_private
from segmentation_pipeline.runtime.settings import HOME_VARIABLE
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class ArtifactStore:
    """The artifacts of one segmentation below `root`."""

    root: Path

    def folder(self, stage: str, partition: str, run_id: str) -> Path:
        """Return the folder of the artifact that a run wrote."""
        return self.root / stage / partition / run_id

    @contextmanager
    def writing(self, stage: str, partition: str, run_id: str) -> Iterator[Artifact]:
        """Yield an artifact to fill; when the block ends without an error it is sealed and put in its place.

        Raises:
            ArtifactError: the disk is full, or the folder may not be written to; nothing is left of it.
        """
        final = self.folder(stage, partition, run_id)
        aside = final.with_name(f".{run_id}.partial-{os.getpid()}")
        for folder in (self.root.parent, self.root, final.parent.parent, final.parent):
            make_private(folder)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        artifact = Artifact(aside)
        try:
            with disk_errors(f"{stage} of {partition}"):
                yield artifact
                seal(artifact)
                shutil.rmtree(final, ignore_errors=True)  # the same run tried this step before
                aside.rename(final)
                _sync(final.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        artifact.folder = final

    def partitions(self) -> list[str]:
        """Return the partitions that have artifacts, in order."""
        return sorted({folder.name for stage in self.root.glob("*") for folder in stage.glob("*")})

    def remove_unfinished(self) -> int:
        """Remove what killed runs left and return how many there were; no run of the segmentation may be writing."""
        unfinished = list(self.root.glob("*/*/.*"))
        for folder in unfinished:
            shutil.rmtree(folder)
        return len(unfinished)

    def keep_newest(self, n_partitions: int) -> list[str]:
        """Remove the artifacts of all but the newest partitions and return the names of those removed."""
        gone = self.partitions()[:-n_partitions]
        for partition in gone:
            for folder in self.root.glob(f"*/{partition}"):
                shutil.rmtree(folder)
        return gone

    def open(self, stage: str, partition: str, run_id: str) -> Artifact:
        """Open what a run wrote.

        Raises:
            ArtifactError: it is not there, or was never finished.
        """
        folder = self.folder(stage, partition, run_id)
        try:
            manifest = Manifest.from_json(json.loads((folder / MANIFEST).read_text()))
        except FileNotFoundError:
            message = (
                f"{stage} of {partition} (run {run_id[:8]}) has no artifact at {folder}; "
                f"materialize {stage} again for this partition"
            )
            raise ArtifactError(message) from None
        return Artifact(folder, manifest)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Re-raise OSError as ArtifactError.

    Raises:
        ArtifactError: naming `what` could not be written, and why.
    """
    try:
        yield
    except OSError as error:
        message = (
            f"{what} could not be written: {' '.join(str(error).split())}. Nothing of it was kept. Make room where "
            f"{HOME_VARIABLE} lies, or name another place there, and run the step again."
        )
        raise ArtifactError(message) from error


def seal(artifact: Artifact) -> None:
    """Close the folder to others, count its bytes and write the manifest; all of it flushed to disk."""
    files = sorted(artifact.folder.iterdir())
    for path in files:
        path.chmod(0o600)
        _sync(path)
    artifact.note(bytes=sum(path.stat().st_size for path in files))
    artifact.write_json(MANIFEST.removesuffix(".json"), artifact.manifest.to_json())
    manifest = artifact.folder / MANIFEST
    manifest.chmod(0o600)
    _sync(manifest)
    _sync(artifact.folder)


def _sync(path: Path) -> None:
    """Flush a file or a folder to disk, so that a power cut cannot leave a sealed artifact empty."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
