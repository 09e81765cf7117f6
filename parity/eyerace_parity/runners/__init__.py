"""How a variant runs: one file a runtime, and one process that may die."""
