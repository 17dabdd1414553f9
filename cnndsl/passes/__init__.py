"""Rewrites of a graph that keep its meaning, one a file; `pipeline` is the ordered list."""
