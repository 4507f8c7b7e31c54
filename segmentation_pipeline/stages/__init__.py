"""The thinking: pure functions over arrays and frames."""
