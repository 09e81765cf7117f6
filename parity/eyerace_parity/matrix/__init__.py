"""Several runtimes: their records merged into one."""
