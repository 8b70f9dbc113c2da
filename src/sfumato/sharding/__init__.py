"""Training of one scene by several processes, each with a part of its Gaussians."""
