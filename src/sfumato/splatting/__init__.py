"""Measured clouds to Gaussians on their surfaces, without training."""
