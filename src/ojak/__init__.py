"""Neural translation."""
