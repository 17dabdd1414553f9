"""One Python module of Numba-CUDA kernels."""
