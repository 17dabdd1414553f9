"""Ways to choose the ranks of a scheme for one layer: one file each."""
