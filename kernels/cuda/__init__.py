"""CUDA kernels: C++ sources that CuPy compiles at their first use, and their launchers.

A family of kernels is a source (`dropout.cu`) and a module of launchers (`dropout.py`): plain
functions on CuPy arrays with the signatures of the references, which return NotImplemented for
arguments that they do not take. A launcher imports no CuPy: it makes arrays with NumPy's functions,
which CuPy's arrays answer (`np.empty(shape, dtype, like=x)`), and gets kernels from
`compiler.load`. So the same launcher and the same source run in the tests on NumPy arrays, where
there is no GPU.

Every launcher module lists in INSTANTIATIONS what it can ask the compiler for, as pairs
(source, instantiation).
"""
