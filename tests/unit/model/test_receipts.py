"""Receipts as JSON and back: what the artifacts hold and the UI shows."""

from __future__ import annotations

import json

from segmentation_pipeline.model.receipts import PublicationReceipt, ScoringReceipt

PUBLISHED = PublicationReceipt(
    3, already_published=False, became_current=True, changed=5, unchanged=1, not_in_target=2, not_in_source=0,
    cleared=0, examples_not_in_target=("7", "8"),
)  # fmt: skip
HISTORY_ONLY = PublicationReceipt(
    3, already_published=False, became_current=False, changed=None, unchanged=None, not_in_target=None,
    not_in_source=None, cleared=None,
)  # fmt: skip
SCORED = ScoringReceipt(3, 10, 1, 2, 3, 5, 4, 6, 1, 0, ("9",))


def test_receipts_come_back_from_their_json() -> None:
    """What is written is what is read, by way of text."""
    for receipt in (PUBLISHED, HISTORY_ONLY):
        assert PublicationReceipt.from_json(json.loads(json.dumps(receipt.to_json()))) == receipt
    assert ScoringReceipt.from_json(json.loads(json.dumps(SCORED.to_json()))) == SCORED


def test_what_was_not_counted_is_minus_one_in_the_json() -> None:
    """Where the target was left alone the artifact and the UI have -1, as earlier versions wrote it."""
    data = HISTORY_ONLY.to_json()
    assert [data[name] for name in ("changed", "unchanged", "not_in_target", "not_in_source", "cleared")] == [-1] * 5
    assert data["examples_not_in_target"] == []


def test_other_values_may_stand_beside_a_receipt() -> None:
    """The UI shows a receipt among other values; they are not read."""
    assert ScoringReceipt.from_json({**SCORED.to_json(), "extracted": 12}) == SCORED
    assert PublicationReceipt.from_json({**PUBLISHED.to_json(), "another": 12}) == PUBLISHED
