"""Posed datasets: photographs with cameras, prepared for training."""
