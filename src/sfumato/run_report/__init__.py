"""One page about a run: what it was made from, how it went, and how good the scene is."""
