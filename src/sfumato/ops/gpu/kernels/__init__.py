"""The Triton kernels of the operations, by what they work on."""
