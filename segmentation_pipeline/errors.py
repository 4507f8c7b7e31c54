"""Every error this package raises on purpose.

SegmentationError
├── SpecError               a defs.yaml says something impossible
├── ConfigurationError      the environment lacks something: a URL, a folder, a privilege
│   ├── UnreachableError    no database answers; it may be starting, so a step is tried again
│   └── NotEnoughMemoryError    the work needs more memory than there is, so it was not begun
├── DatabaseError           the database refused a statement
│   └── TransientDatabaseError  the connection was lost, or a deadlock ended this transaction; a step is tried again
├── SourceError             the source cannot be read as the defs.yaml describes it
│   └── StaleSourceError    the period's data has not arrived (source.fresh)
├── UnusableDataError       the rows that were read cannot be clustered
├── ArtifactError           an artifact is missing, unfinished or of another snapshot
├── AlignmentError          the clusters cannot be aligned now
│   ├── EarlierRunUnfinishedError   a run of an earlier period has not ended
│   └── DecisionPendingError        an earlier snapshot waits for a person
├── ReportError             there is no snapshot to report
├── ErasureRefusedError     a customer cannot be erased now, or the key is not one of this segmentation's
├── DecisionRefusedError    the snapshot is not one that a person can decide about
├── PublicationError        the snapshot was not published, and nothing was written
│   ├── NotAcceptedError    a gate failed, or a person has not approved the snapshot
│   ├── ParentChangedError  the snapshot was aligned with one that is no longer its parent
│   └── TargetError         the target table cannot take the segments
└── ScoringError            no customer was scored: there is no snapshot to score by
    ├── FeaturesChangedError    the source or the defs.yaml no longer has the features of the current snapshot
    └── SnapshotChangedError    another snapshot became current meanwhile

A message says what was found, what was wanted and the next thing to do, with values.
"""


class SegmentationError(Exception):
    """The base of all errors of this package; the message is for people."""


class SpecError(SegmentationError):
    """A defs.yaml contradicts itself or its source."""


class ConfigurationError(SegmentationError):
    """The environment lacks something: a URL, a privilege, a package."""


class UnreachableError(ConfigurationError):
    """No database answers at the URL; it may be restarting, so a step is tried again."""


class NotEnoughMemoryError(ConfigurationError):
    """The container or the machine has less memory than the work needs; raised before the work begins."""


class DatabaseError(SegmentationError):
    """PostgreSQL refused a statement; its transaction was rolled back."""


class TransientDatabaseError(DatabaseError):
    """The connection was lost, or another transaction went first; a step is tried again."""


class SourceError(SegmentationError):
    """The source query cannot be run, or returns other columns than the defs.yaml names."""


class StaleSourceError(SourceError):
    """The newest row of the source is older than `source.fresh` allows."""


class UnusableDataError(SegmentationError):
    """No rows, or fewer distinct rows than clusters: there is nothing to fit."""


class ArtifactError(SegmentationError):
    """A stage's artifact is missing or damaged."""


class AlignmentError(SegmentationError):
    """The clusters of this partition cannot be aligned now."""


class EarlierRunUnfinishedError(AlignmentError):
    """A run of an earlier partition did not end within SEGMENTATION_PATIENCE_SECONDS."""


class DecisionPendingError(AlignmentError):
    """An earlier snapshot waits for a person, so later ones cannot be aligned."""


class ReportError(SegmentationError):
    """There is no snapshot that a report could show."""


class ErasureRefusedError(SegmentationError):
    """The key cannot be one of this segmentation, or a run of it is in progress; nothing was erased."""


class DecisionRefusedError(SegmentationError):
    """The snapshot is not one that can be approved, declined or rolled back to; nothing was changed."""


class PublicationError(SegmentationError):
    """The snapshot was not published; the database is as it was."""


class NotAcceptedError(PublicationError):
    """The gates of the snapshot failed, it waits for a person, or it was replaced."""


class ParentChangedError(PublicationError):
    """Another snapshot became the parent since this one was aligned."""


class TargetError(PublicationError):
    """The target table is missing, or lacks a column or a privilege."""


class ScoringError(SegmentationError):
    """There is no published snapshot to score customers by."""


class FeaturesChangedError(ScoringError):
    """The source or the defs.yaml no longer has the features that the current snapshot was fitted on."""


class SnapshotChangedError(ScoringError):
    """The labels come from a snapshot that is no longer the current one."""
