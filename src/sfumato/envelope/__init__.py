"""Where a scene can be trusted: what its training views tell of it, and of views that nobody has taken."""
