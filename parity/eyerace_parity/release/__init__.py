"""Accepted releases: what is kept of one, and how a candidate is judged against it."""
