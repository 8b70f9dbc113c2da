"""Training on disk: run folders with their options, checkpoints, events and results."""
