"""Images as 2D Gaussians, and the small files that hold them."""
