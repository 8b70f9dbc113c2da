"""Training: what a step is, and what it is made of. ``loop.py`` is the page to read first."""
