"""Conversion of measured point clouds to Gaussians on their surfaces, without training."""
