"""A one-page report of a run: its inputs, its training, and the quality of the scene."""
