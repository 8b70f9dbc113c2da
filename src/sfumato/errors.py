"""Exceptions of the package. Every message is one line: what is wrong, where, and what to do."""


class SfumatoError(Exception):
    """Invalid input; the command line prints the message and exits with code 2."""


class ShapeError(SfumatoError, ValueError):
    """A tensor has another rank, size, dtype or device than expected."""


class CaptureError(SfumatoError):
    """A dataset cannot be used: missing or broken images, cameras or points."""


class FormatError(SfumatoError):
    """A scene file or a file of measured points is damaged or not in its format."""


class ConfigError(SfumatoError, ValueError):
    """An option is unknown, out of range, or conflicts with another."""


class InUseError(ConfigError):
    """Another process works in the folder."""


def printable(words: object) -> str:
    """A text or a path as one line that is safe to print on a terminal.

    Control characters, line breaks, marks that change the direction of writing, and bytes that are not
    UTF-8 are printed as Python escapes: ``\\x1b``, ``\\n``, ``\\u202e``, ``\\udcff``.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(words))
