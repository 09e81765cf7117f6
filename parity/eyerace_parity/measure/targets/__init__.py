"""What is executed on a target other than this host."""
