"""The lowest room: results, errors, progress, digests, text, numbers and files. Imports no third-party package."""
