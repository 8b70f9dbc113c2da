"""Photographs with cameras, as they are trained on."""
