"""The stages of a segmentation, in their order."""

STAGES = (
    "raw_extract",
    "validated_rows",
    "encoded_features",
    "k_sweep",
    "final_fit",
    "aligned_segments",
    "published_segments",
)


# beside the chain: today's customers, of no period
SCORING = "scored_customers"


# beside the publication, which neither waits for it nor fails with it
REPORT = "segment_report"
