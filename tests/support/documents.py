"""The documents, and the commands that they show."""

import re
import shlex

from repository import text_files

PAGES = [path for path in text_files() if path.suffix == ".md" and path.parent.name in ("docs", "guide")]
_COMMAND = re.compile(r"^    (sfumato .*?)(?:  +#.*)?$", re.MULTILINE)


def command_lines(path):
    """The indented lines of a page that call Sfumato, without their comments."""
    return _COMMAND.findall(path.read_text("utf-8"))


def commands(path):
    """The same as words, without the name of the program."""
    return [shlex.split(line)[1:] for line in command_lines(path)]
