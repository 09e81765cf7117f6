"""Preprocessing: the steps from a photograph to a tensor, and the usual mistakes as profiles."""
