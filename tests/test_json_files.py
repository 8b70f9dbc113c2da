"""Invalid, too large or missing JSON files give one-line errors."""

import pytest

from sfumato.errors import ConfigError, FormatError
from sfumato.json_files import read_given_json, read_json


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_document_is_read(tmp_path, mark):
    (tmp_path / "a.json").write_bytes(mark + '{"a": [1, "ü"]}'.encode())
    assert read_json(tmp_path / "a.json", 1 << 20) == {"a": [1, "ü"]}


BROKEN = {
    "": "it is not JSON: Expecting value",
    "{": "it is not JSON: Expecting property name",
    "[" * 100_000: "its JSON is nested too deeply",
    b"\xff\xfe": "it is not JSON: 'utf-8",
    b'"' + b" " * (1 << 20) + b'"': "it is larger than 1 MiB",
}


@pytest.mark.parametrize("content", BROKEN, ids=BROKEN.values())
def test_errors_are_one_line(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=f"^{BROKEN[content]}") as caught:
        read_json(path, 1 << 20)
    assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match=rf"a\.json is not a list: {BROKEN[content]}.*; write it again$"):
        read_given_json(path, "list", 1 << 20)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json", 1 << 20)
    with pytest.raises(ConfigError, match=r"a\.json cannot be read: no such file"):
        read_given_json(tmp_path / "a.json", "list", 1 << 20)
