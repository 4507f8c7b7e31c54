"""The segmentation as a few plain rules: a shallow decision tree that imitates it, and how often it is right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.stages.categorical import as_categories
from segmentation_pipeline.stages.conditions import Cut, Question, readable, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.model import Json
    from segmentation_pipeline.spec import FeatureSpec

# three questions are what a person keeps in mind
DEPTH: Final = 3
# More rows than this move no threshold that people would notice; the rules are counted on everybody all the same.
FIT_ROWS: Final = 20_000
# A rule for a handful of customers is a coincidence.
SMALLEST_RULE: Final = 0.005
LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: who meets `condition` is taken for `segment_id`, and the share `right` of them are in it."""

    segment_id: int
    condition: str
    n_customers: int
    right: float

    @property
    def text(self) -> str:
        """The rule as one line."""
        return f"{self.condition} → segment {self.segment_id} ({self.right:.0%} of {self.n_customers:,})"


@dataclass(frozen=True, slots=True)
class Imitation:
    """The rules in order of segment, the largest first; each customer meets exactly one.

    `fidelity` is the share of customers whom the rules put into their own segment, `by_segment` the same within each
    segment: 0 where no rule leads to it, which happens to small ones and where there are more than `2 ** DEPTH`.
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
        """Give plain values for the artifact, each rule with its text."""
        rules = [asdict(rule) | {"text": rule.text} for rule in self.rules]
        by_segment = {str(segment): share for segment, share in self.by_segment.items()}
        return asdict(self) | {"rules": rules, "by_segment": by_segment}


def imitate(
    frame: pd.DataFrame,
    segments: NDArray[np.int64],
    *,
    features: Sequence[FeatureSpec],
    seed: int,
    fit_rows: int = FIT_ROWS,
) -> Imitation:
    """Imitate the segmentation of `frame`, shape (n, c), by a tree of DEPTH on the features in original units.

    `segments`, shape (n,), are segment ids; below 0 a customer is unassigned and left out. A number is asked for as it
    is, a category by its value ("country is DE"). A null answers as the tree found best, and the rule says so. The tree
    is fitted on at most `fit_rows` random customers, and counted on all.
    """
    from sklearn.tree import DecisionTreeClassifier

    assigned = np.flatnonzero(segments >= 0)
    if not len(assigned):
        return Imitation((), 0.0, {}, 0, 0)
    own = segments[assigned]
    columns = list(_columns(frame.iloc[assigned], features))
    if not columns:
        columns = [(Question("nothing", "number"), np.zeros(len(own), dtype=np.float32))]
    answers = np.column_stack([values for _, values in columns])
    questions = [question for question, _ in columns]
    rows = np.arange(len(own))
    if len(own) > fit_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, fit_rows, replace=False))
    least = max(1, round(SMALLEST_RULE * len(rows)))
    # entropy halves the segments where Gini is as content to peel off one, and questions are few
    tree = DecisionTreeClassifier(criterion="entropy", max_depth=DEPTH, min_samples_leaf=least, random_state=seed)
    tree.fit(answers[rows], own[rows])
    leaves, told = tree.apply(answers), tree.predict(answers)
    rules = [_rule(cuts, ids, leaves, own, tree) for cuts, ids in _paths(tree.tree_, answers, questions)]
    return Imitation(
        rules=tuple(sorted(rules, key=lambda each: (each.segment_id, -each.n_customers))),
        fidelity=float((told == own).mean()),
        by_segment={int(each): float((told[own == each] == each).mean()) for each in np.unique(own)},
        n_rows=len(own),
        n_fitted=len(rows),
    )


def _columns(frame: pd.DataFrame, features: Sequence[FeatureSpec]) -> Iterator[tuple[Question, NDArray[np.float32]]]:
    """What the tree may ask, and everybody's answer: float32, as scikit-learn's trees compare."""
    for feature in features:
        if feature.is_number:
            numbers = frame[feature.column].astype(float).to_numpy(dtype=np.float64, na_value=np.nan)
            values = np.clip(numbers, -LARGEST, LARGEST).astype(np.float32)
            has_nulls = bool(np.isnan(values).any())
            yield Question(feature.column, "days" if feature.kind == "date" else "number", has_nulls=has_nulls), values
            continue
        names = as_categories(frame[feature.column])
        counts = names.value_counts()
        # the most frequent first, ties by name, so that the order of rows does not matter
        common = sorted(counts.index, key=lambda name: (-counts[name], str(name)))[: feature.max_categories]
        otherwise = ""
        if len(counts) == 2:
            common = sorted(common, key=lambda name: name == "false")  # "active is true" comes to mind first
            common, otherwise = common[:1], str(common[1])
        for name in common:
            question = Question(feature.column, "value", str(name), otherwise)
            yield question, (names == name).to_numpy(dtype=np.float32)


def _paths(
    tree: Any, answers: NDArray[np.float32], questions: Sequence[Question]
) -> Iterator[tuple[tuple[Cut, ...], list[int]]]:
    """The questions down to each leaf, and the nodes below it; leaves that say the same are one.

    `tree` is scikit-learn's structure of arrays, which has no type.
    """
    said = tree.value[:, 0, :].argmax(axis=1)

    def below(node: int) -> list[int]:
        if tree.children_left[node] < 0:
            return [node]
        return below(tree.children_left[node]) + below(tree.children_right[node])

    def walk(node: int, cuts: tuple[Cut, ...]) -> Iterator[tuple[tuple[Cut, ...], list[int]]]:
        leaves = below(node)
        if len({int(said[leaf]) for leaf in leaves}) == 1:
            yield cuts, leaves
            return
        column = int(tree.feature[node])
        limit = readable(float(tree.threshold[node]), answers[:, column])
        nulls_left = bool(tree.missing_go_to_left[node])
        question = questions[column]
        yield from walk(tree.children_left[node], (*cuts, Cut(question, limit, above=False, nulls=nulls_left)))
        yield from walk(tree.children_right[node], (*cuts, Cut(question, limit, above=True, nulls=not nulls_left)))

    yield from walk(0, ())


def _rule(
    cuts: Sequence[Cut], ids: Sequence[int], leaves: NDArray[np.int64], own: NDArray[np.int64], tree: Any
) -> Rule:
    """One rule, counted on everybody; `tree` is scikit-learn's classifier."""
    inside = np.isin(leaves, ids)
    segment = int(tree.classes_[tree.tree_.value[ids[0], 0, :].argmax()])
    right = float((own[inside] == segment).mean()) if inside.any() else 0.0
    return Rule(segment, sentence(cuts), int(inside.sum()), right)
