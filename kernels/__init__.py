"""What the hardware runs: Numba kernels for CPUs and CUDA C++ sources for GPUs."""
