"""From anything a user has to a scene, within one budget of time."""
