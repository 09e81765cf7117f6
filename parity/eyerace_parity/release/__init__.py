"""Accepted releases: their files, and how a candidate is judged against one."""
