"""Conversations as texts: a model's chat template, in a sandbox."""
