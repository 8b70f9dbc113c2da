"""Exceptions of the package. Every message is one line: what is wrong, where, and what to do."""


class SfumatoError(Exception):
    """Something the caller gave is wrong; the command line prints it and exits with code 2."""


class ShapeError(SfumatoError, ValueError):
    """A tensor has another rank, size, dtype or device than its contract says."""


class CaptureError(SfumatoError):
    """A dataset cannot be used: missing or broken images, cameras or points."""


class FormatError(SfumatoError):
    """A scene file, or a file of measured points, is not what it claims to be."""


class ConfigError(SfumatoError, ValueError):
    """An option is unknown, out of range, or conflicts with another."""


def printable(words: object) -> str:
    """Words, or a path, in one line that does nothing to a terminal.

    Control characters, line breaks, marks that turn the direction of writing, and bytes of names that are
    not UTF-8 are shown as Python writes them: ``\\x1b``, ``\\n``, ``\\u202e``, ``\\udcff``.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(words))
