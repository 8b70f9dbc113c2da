"""How good a scene is: metrics on held-out views, their pictures and charts."""
