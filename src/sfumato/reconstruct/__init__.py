"""From anything a user has to a scene: pictures, cameras, training and results within one budget of time."""

from sfumato.reconstruct.run import Reconstruction, reconstruct

__all__ = ["Reconstruction", "reconstruct"]
