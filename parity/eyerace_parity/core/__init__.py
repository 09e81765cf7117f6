"""The ground floor: results, errors, progress, digests, text and files. Imports no third-party package."""
