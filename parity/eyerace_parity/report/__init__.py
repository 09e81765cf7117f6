"""What is shown: each report reads the record, and nothing else."""
