"""From videos, photographs or a posed dataset to a scene, within one time budget."""
