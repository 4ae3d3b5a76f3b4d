"""Seeing inside: figures of attention."""
