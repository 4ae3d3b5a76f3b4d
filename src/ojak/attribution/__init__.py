"""Asking a model in more than one way which words its words came from."""
