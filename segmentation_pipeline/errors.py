"""Every error this package raises on purpose.

SegmentationError
├── SpecError               a defs.yaml says something impossible
├── ConfigurationError      the environment is not what it should be (URL, home, privileges)
│   ├── UnreachableError    no database answers now; it may be starting (tried again by itself)
│   └── NotEnoughMemoryError    the work would be killed for memory, so it was not begun
├── DatabaseError           the database refused something
│   └── TransientDatabaseError  it went away in the middle, or chose this transaction to end a deadlock (tried again)
├── SourceError             the source cannot be read as it is described
│   └── StaleSourceError    the period's data has not arrived (source.fresh)
├── UnusableDataError       what was read cannot be clustered at all
├── ArtifactError           an artifact is missing, unfinished or not what was expected
├── AlignmentError          the clusters cannot be aligned now
│   ├── EarlierRunUnfinishedError
│   └── DecisionPendingError
├── ErasureRefusedError     a customer cannot be erased now, or the key is none
├── DecisionRefusedError    a person's decision makes no sense for this snapshot
├── PublicationError        nothing was written
│   ├── NotAcceptedError    the snapshot's gates or a person said no
│   ├── ParentChangedError  the parent is no longer the one it was aligned with
│   └── TargetError         the target table cannot take the segments
└── ScoringError            nobody was scored: there is nothing to score by
    ├── FeaturesChangedError    the source or the defs.yaml is no longer what the current snapshot was fitted on
    └── SnapshotChangedError    another snapshot became current in between

A message says what was found, what was wanted and the next thing to do, with values.
"""


class SegmentationError(Exception):
    """Base of all errors of this package; the message is for people."""


class SpecError(SegmentationError):
    """A segmentation's description contradicts itself or its source."""


class ConfigurationError(SegmentationError):
    """The environment lacks something: a URL, a privilege, a package."""


class UnreachableError(ConfigurationError):
    """No database answers at the URL; it may be restarting, so a stage tries again."""


class NotEnoughMemoryError(ConfigurationError):
    """The container or the machine has less memory than the work needs; said before it is begun."""


class DatabaseError(SegmentationError):
    """PostgreSQL refused a statement; its transaction was rolled back."""


class TransientDatabaseError(DatabaseError):
    """The connection was lost, or another transaction went first; the same again may work, so a stage tries again."""


class SourceError(SegmentationError):
    """The source query cannot be run, or gives other columns than the spec names."""


class StaleSourceError(SourceError):
    """The newest row of the source is older than `source.fresh` allows."""


class UnusableDataError(SegmentationError):
    """No rows, or fewer distinct rows than clusters: there is nothing to fit."""


class ArtifactError(SegmentationError):
    """A stage's artifact is missing or damaged."""


class AlignmentError(SegmentationError):
    """The clusters of this partition cannot be aligned now."""


class EarlierRunUnfinishedError(AlignmentError):
    """A run of an earlier partition did not end within the patience."""


class DecisionPendingError(AlignmentError):
    """An earlier snapshot waits for a person, so later ones cannot be aligned."""


class ErasureRefusedError(SegmentationError):
    """The key cannot be one of this segmentation, or a run of it is in progress; nothing was erased."""


class DecisionRefusedError(SegmentationError):
    """The snapshot is not one that can be approved, declined or rolled back to; nothing was changed."""


class PublicationError(SegmentationError):
    """The snapshot was not published; the database is as it was."""


class NotAcceptedError(PublicationError):
    """The snapshot is not one that may be published."""


class ParentChangedError(PublicationError):
    """Another snapshot became the parent since this one was aligned."""


class TargetError(PublicationError):
    """The target table is missing, or lacks a column or a privilege."""


class ScoringError(SegmentationError):
    """There is no published snapshot to score customers by."""


class FeaturesChangedError(ScoringError):
    """The source or the defs.yaml no longer gives the features that the current snapshot was fitted on."""


class SnapshotChangedError(ScoringError):
    """The snapshot that the labels come from is no longer the current one."""
