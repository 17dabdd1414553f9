"""The oracle: a graph run by NumPy."""
