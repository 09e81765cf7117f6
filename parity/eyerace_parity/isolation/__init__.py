"""Native code in processes that may die: one protocol, one worker, one place for failures."""
