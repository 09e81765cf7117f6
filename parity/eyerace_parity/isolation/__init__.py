"""Runs crash-prone native code in subprocesses: one protocol, one worker program, one place for failures."""
