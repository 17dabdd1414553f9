"""What modules of Numba kernels have in common, for processors and for CUDA: calls and text."""
