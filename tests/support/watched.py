"""Stand-ins for a capture and a training state in tests of the live view."""


class NoPhotographs:
    """The part of a capture that a page without cameras uses."""

    views, test_names, render_background = (), frozenset(), (0.0, 0.0, 0.0)


class State:
    """The part of a training state that a watcher reads."""

    def __init__(self, gaussians):
        self.gaussians, self.background, self.step = gaussians, (0.0, 0.0, 0.0), 0
