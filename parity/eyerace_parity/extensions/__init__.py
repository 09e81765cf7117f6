"""The extensions of this package, one folder each; loaded by name in :mod:`eyerace_parity.extending.loading`."""
