"""Tracking: Gaussians of a first step followed through a multi-view video by rendering alone."""
