"""CPU kernels, compiled by Numba: a file per family, each kernel a plain function on arrays.

A kernel returns NotImplemented for arguments that it does not take (another dtype, a layout it
would have to copy); the kernel table then calls the reference of the same name. Shapes are checked
by the operations: a kernel trusts them, and compiled code does not look at bounds.
"""
