"""The thinking: pure functions of arrays and frames."""
