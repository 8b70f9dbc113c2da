"""Stand-ins for a capture and a training state in tests of the live view."""


class NoPhotographs:
    """Of a capture, what a page without cameras asks for."""

    views, test_names, render_background = (), frozenset(), (0.0, 0.0, 0.0)


class State:
    """Of a state of training, what a watcher reads."""

    def __init__(self, gaussians):
        self.gaussians, self.background, self.step = gaussians, (0.0, 0.0, 0.0), 0
