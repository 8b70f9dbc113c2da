"""The errors a caller can meet. Every message is one line: what is wrong, where, and what to do."""


class SfumatoError(Exception):
    """Something the caller gave is wrong; the command line prints it and exits with code 2."""


class ShapeError(SfumatoError, ValueError):
    """A tensor has another rank, size, dtype or device than its contract says."""


class CaptureError(SfumatoError):
    """A dataset cannot be used: missing or broken images, cameras or points."""


class FormatError(SfumatoError):
    """A scene file is not what it claims to be."""


class ConfigError(SfumatoError, ValueError):
    """An option is unknown, out of range, or conflicts with another."""
