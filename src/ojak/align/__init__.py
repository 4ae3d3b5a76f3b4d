"""Word alignments, read off a model that is forced to say the given target."""
