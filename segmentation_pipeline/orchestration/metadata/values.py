"""Values as Dagster's metadata shows them."""

import base64
from typing import Any

import dagster as dg


def embed_picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """Return a plot that the UI shows in the materialization."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def round_number(value: Any) -> Any:  # any value that Dagster accepts as metadata
    """Round a number to six digits, which a person can read; every other value stays."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
