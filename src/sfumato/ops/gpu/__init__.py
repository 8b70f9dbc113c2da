"""Triton kernels for GPUs, compiled on first use; docs/gpu.md says which of them were verified.

One module per operation launches kernels of ``kernels``. Modules are imported when first used with a GPU
tensor.
"""
