"""Emulated processors: which there are, and how a worker is started on one. Needs neither root nor a container."""
