"""The models: one seam, two architectures behind it."""
