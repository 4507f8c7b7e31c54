"""What the UI shows beside an asset."""
