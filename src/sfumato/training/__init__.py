"""Training: the step, its parts and the loop. ``step.py`` is the page to read first."""
