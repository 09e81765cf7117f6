"""From a photograph to a tensor: the steps of a profile, and the usual mistakes as profiles."""
