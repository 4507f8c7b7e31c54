"""The segmentation as a few plain rules: a shallow decision tree imitates it, and its hits are counted."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.rows import iter_placed_blocks
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.features.categorical import Categories, read_categories
from segmentation_pipeline.analysis.features.kinds import kind_of
from segmentation_pipeline.analysis.profiles.conditions import Cut, Question, describe_cuts, shorten_limit
from segmentation_pipeline.model.report import Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.tree import DecisionTreeClassifier

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.model import Json
    from segmentation_pipeline.spec import FeatureSpec

# a person keeps three questions in mind
DEPTH: Final = 3
# More rows than this move no threshold by an amount that people would notice; the rules are still counted on all rows.
FIT_ROWS: Final = 20_000
# A rule for a handful of customers is a coincidence.
SMALLEST_RULE: Final = 0.005
LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Imitation:
    """The rules in order of segment, the largest first; each customer meets exactly one of them.

    `fidelity` is the share of customers whom the rules put into their own segment, `by_segment` the same share within
    each segment. It is 0 where no rule leads to a segment, which happens to small segments, and to some where there are
    more than `2 ** DEPTH`.
    """

    rules: tuple[Rule, ...]
    fidelity: float
    by_segment: dict[int, float]
    n_rows: int
    n_fitted: int

    @property
    def without_rule(self) -> tuple[int, ...]:
        """The segments that no rule leads to."""
        return tuple(sorted(set(self.by_segment) - {rule.segment_id for rule in self.rules}))

    def to_json(self) -> Json:
        """Return plain values for the artifact, each rule with its text."""
        rules = [rule.to_json() for rule in self.rules]
        by_segment = {str(segment): share for segment, share in self.by_segment.items()}
        return asdict(self) | {"rules": rules, "by_segment": by_segment}


def imitate(
    rows: Rows,
    segments: NDArray[np.int32],
    *,
    features: Sequence[FeatureSpec],
    seed: int,
    fit_rows: int = FIT_ROWS,
) -> Imitation:
    """Imitate the segmentation of `rows`, shape (n, c), by a tree of DEPTH on the features in original units.

    `segments`, shape (n,), are segment ids; a customer below 0 is unassigned and left out. A number is compared with a
    limit, a category with one value ("country is DE"). Nulls go to the side that the tree found best, and the rule says
    so. The tree is fitted on at most `fit_rows` random customers and counted on all of them, block by block.
    """
    from sklearn.tree import DecisionTreeClassifier

    assigned = np.flatnonzero(segments >= 0)
    if not len(assigned):
        return Imitation((), 0.0, {}, 0, 0)
    questions = [
        question for feature in features for question in _list_questions(_take(rows[feature.column], assigned), feature)
    ]
    questions = questions or [Question("", "number")]
    picked = assigned
    if len(assigned) > fit_rows:
        picked = np.sort(np.random.default_rng(seed).choice(assigned, fit_rows, replace=False))
    least = max(1, round(SMALLEST_RULE * len(picked)))
    # entropy divides the segments into halves where Gini rates splitting off one as highly, and questions are few
    tree = DecisionTreeClassifier(criterion="entropy", max_depth=DEPTH, min_samples_leaf=least, random_state=seed)
    columns = {feature.column: rows[feature.column].iloc[picked] for feature in features}
    tree.fit(_answer(columns, questions, n_rows=len(picked), asked=range(len(questions))), segments[picked])
    counts = _count(tree, rows, segments, questions)
    predicted = tree.classes_[tree.tree_.value[:, 0, :].argmax(axis=1)]
    met = np.flatnonzero(counts.any(axis=1))
    ids = np.flatnonzero(counts.any(axis=0))
    right = {int(segment): int(counts[met[predicted[met] == segment], segment].sum()) for segment in ids}
    return Imitation(
        rules=tuple(
            sorted(
                (_make_rule(path, counts, predicted) for path in _list_paths(tree.tree_, rows, assigned, questions)),
                key=lambda rule: (rule.segment_id, -rule.n_customers),
            )
        ),
        fidelity=sum(right.values()) / len(assigned),
        by_segment={segment: hits / int(counts[:, segment].sum()) for segment, hits in right.items()},
        n_rows=len(assigned),
        n_fitted=len(picked),
    )


def _take(values: pd.Series, assigned: NDArray[np.intp]) -> pd.Series:
    """Return the values of the assigned customers; not a copy where these are all customers."""
    return values if len(assigned) == len(values) else values.iloc[assigned]


def _list_questions(values: pd.Series, feature: FeatureSpec) -> Iterator[Question]:
    """Yield the questions about a feature with these `values`, shape (m,), of the assigned customers."""
    column = feature.column
    if feature.is_number:
        yield Question(column, "number", has_nulls=bool(values.isna().any()), unit=kind_of(feature).unit)
        return
    names = list(read_categories(values).count())
    common, other_value = names[: feature.max_categories], ""
    if len(names) == 2:
        common = sorted(names, key=lambda name: name == "false")  # "active is true" comes to mind first
        common, other_value = common[:1], common[1]
    for name in common:
        yield Question(column, "value", name, other_value)


def _answer(
    columns: Mapping[str, pd.Series] | pd.DataFrame,
    questions: Sequence[Question],
    *,
    n_rows: int,
    asked: Collection[int],
) -> NDArray[np.float32]:
    """Return the answers to the `asked` ones of q questions, shape (m, q): float32, as scikit-learn compares them."""
    answers = np.zeros((n_rows, len(questions)), dtype=np.float32)
    found: dict[str, Categories] = {}
    for index in asked:
        question = questions[index]
        if question.column not in columns:
            continue
        values = columns[question.column]
        if question.kind != "value":
            answers[:, index] = _to_numbers(values)
            continue
        if question.column not in found:
            found = {question.column: read_categories(values)}
        answers[:, index] = found[question.column].locate([question.value]) == 0
    return answers


def _to_numbers(values: pd.Series) -> NDArray[np.float32]:
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.clip(numbers, -LARGEST, LARGEST, out=np.empty(len(numbers), dtype=np.float32), casting="same_kind")


def count_leaves(
    block: pd.DataFrame,
    segments: NDArray[np.int32],
    *,
    tree: DecisionTreeClassifier,
    questions: Sequence[Question],
    n_segments: int,
) -> NDArray[np.int64]:
    """Count a block of customers by the leaf they reach and their segment, shape (nodes, `n_segments`).

    `segments`, shape (b,), are below `n_segments`; a customer below 0 is left out. The counts add up over any parts.
    """
    asked = sorted({int(question) for question in tree.tree_.feature if question >= 0})
    leaves = tree.apply(_answer(block, questions, n_rows=len(block), asked=asked))[segments >= 0]
    pairs = leaves.astype(np.intp) * n_segments + segments[segments >= 0]
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=tree.tree_.node_count * n_segments)
    return counts.reshape(tree.tree_.node_count, n_segments)


def _count(
    tree: DecisionTreeClassifier, rows: Rows, segments: NDArray[np.int32], questions: Sequence[Question]
) -> NDArray[np.int64]:
    """Count all assigned customers by leaf and segment, shape (nodes, largest id + 1)."""
    n_segments = int(segments.max()) + 1
    kernel = functools.partial(count_leaves, tree=tree, questions=questions, n_segments=n_segments)
    counts = map_in_order(lambda placed: kernel(placed[1], segments[placed[0]]), iter_placed_blocks(rows))
    return functools.reduce(np.add, counts, np.zeros((tree.tree_.node_count, n_segments), dtype=np.int64))


@dataclass(frozen=True, slots=True)
class _Path:
    """The answers that lead to a node, and the leaves below it, which all predict one segment."""

    cuts: tuple[Cut, ...]
    leaves: list[int]


def _list_paths(tree: Any, rows: Rows, assigned: NDArray[np.intp], questions: Sequence[Question]) -> Iterator[_Path]:
    """Yield the paths of a tree; neighbouring leaves with the same prediction are one path.

    `tree` is scikit-learn's structure of arrays, which has no type.
    """
    predicted = tree.value[:, 0, :].argmax(axis=1)

    def list_leaves(node: int) -> list[int]:
        if tree.children_left[node] < 0:
            return [node]
        return list_leaves(tree.children_left[node]) + list_leaves(tree.children_right[node])

    def find_limit(node: int, question: Question) -> float:
        threshold = float(tree.threshold[node])
        if question.kind == "value" or question.column not in rows.columns:
            return threshold
        return shorten_limit(threshold, _to_numbers(_take(rows[question.column], assigned)))

    def walk(node: int, cuts: tuple[Cut, ...]) -> Iterator[_Path]:
        leaves = list_leaves(node)
        if len({int(predicted[leaf]) for leaf in leaves}) == 1:
            yield _Path(cuts, leaves)
            return
        question = questions[int(tree.feature[node])]
        limit, nulls_left = find_limit(node, question), bool(tree.missing_go_to_left[node])
        yield from walk(tree.children_left[node], (*cuts, Cut(question, limit, above=False, nulls=nulls_left)))
        yield from walk(tree.children_right[node], (*cuts, Cut(question, limit, above=True, nulls=not nulls_left)))

    yield from walk(0, ())


def _make_rule(path: _Path, counts: NDArray[np.int64], predicted: NDArray[np.int64]) -> Rule:
    """Make one rule, counted on all customers; `predicted` is the segment of each node of the tree."""
    segment, inside = int(predicted[path.leaves[0]]), counts[path.leaves].sum(axis=0)
    n_customers = int(inside.sum())
    right = int(inside[segment]) / n_customers if n_customers else 0.0
    return Rule(segment, describe_cuts(path.cuts), n_customers, right)
