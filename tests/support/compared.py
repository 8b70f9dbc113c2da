"""Pictures without pixels, and synthetic descriptors."""

import numpy as np

from sfumato.footage.frames_file import Picture


def picture(name, sequence=None):
    return Picture(name, name, "camera", (64, 48), None, sequence, None, 1.0, 0.5, None)


def descriptors(pictures, world=lambda name: 0, count=60):
    """Pictures of one world show subsets of the same 80 features, with noise."""
    rng = np.random.default_rng(0)
    prototypes = rng.integers(0, 160, (4, 80, 128))
    found = {}
    for one in pictures:
        seen = prototypes[world(one.name)][rng.permutation(80)[:count]]
        found[one.name] = np.clip(seen + rng.normal(scale=8, size=seen.shape), 0, 255).astype(np.uint8)
    return found
