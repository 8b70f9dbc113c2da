"""Tracking: the Gaussians of the first step are followed through a multi-view video by rendering alone."""
