"""Images as 2D Gaussians, and their compact files."""
