"""Evaluation of a scene: metrics on held-out views, their pictures and charts."""
