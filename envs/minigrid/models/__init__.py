"""Exact models of single levels: their states, and what each action leads to."""
