"""What every kernel computes, in plain array operations: a file per family, as in kernels/cpu.

A reference has its kernel's name, arguments and results. It runs with any array module, takes every
float dtype (16-bit floats are computed in float32) and any layout, and is what kernels are tested
against. A backend without a kernel uses it.
"""
