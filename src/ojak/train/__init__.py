"""Training: the update, and the loop around it."""
