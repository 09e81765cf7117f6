"""The judges: pure functions of evidence and limits, one file a family."""
