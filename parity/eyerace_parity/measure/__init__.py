"""What was measured, with its provenance, cached by content."""
