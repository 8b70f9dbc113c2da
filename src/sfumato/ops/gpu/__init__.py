"""Kernels for GPUs in Triton, compiled on first use; docs/gpu.md says what of them was verified.

A module per operation calls what is in ``kernels``. Nothing is imported before a tensor on a GPU needs it.
"""
