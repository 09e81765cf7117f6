"""How artefacts are made: export and quantisation. Used from the command line and the bundle, never by a check."""
