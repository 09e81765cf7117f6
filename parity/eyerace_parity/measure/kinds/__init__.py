"""One measurer a kind of evidence."""
