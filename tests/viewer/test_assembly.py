"""The sources of the page, and the bundle of third-party code."""

import json
import re

from repository import PACKAGE, ROOT
from sfumato.viewer.assembly import assemble, page_code

WEB = PACKAGE / "viewer" / "web"


def test_every_module_is_in_the_page_once_and_after_those_it_imports():
    code = page_code()
    modules = sorted(path.stem for path in WEB.glob("*.js"))
    found = re.findall(r"^const module_(\w+) = ", code, re.MULTILINE)
    assert sorted(found) == modules and found[-1] == "main"
    for user, used in re.findall(r"module_(\w+) = \(\(\) => \{\n((?:(?!\n\}\)\(\);).)*)", code, re.DOTALL):
        for other in re.findall(r"= module_(\w+);", used):
            assert found.index(other) < found.index(user)
    assert "import " not in re.sub(r"//.*", "", code) and "export " not in code


def test_what_a_module_imports_is_exported_there():
    for path in WEB.glob("*.js"):
        for names, other in re.findall(r'import \{([^}]*)\} from "\./(\w+)\.js"', path.read_text("utf-8")):
            text = (WEB / f"{other}.js").read_text("utf-8")
            for one in re.findall(r"\w+", names):
                assert re.search(rf"^export (async )?(const|function) {one}\b", text, re.MULTILINE), (
                    path,
                    one,
                )


def test_nothing_is_loaded_from_other_origins():
    document = "".join(assemble({"title": "x"}))
    ours = [path.read_text("utf-8") for path in WEB.iterdir() if path.is_file()]
    assert not re.findall(r"https?://", "".join(ours))
    assert "default-src 'none'" in document
    outside = re.findall(
        r"""<(?:script|link|img|iframe)[^>]*\b(?:src|href)=["']?(?!data:)[^"'>]+""", document
    )
    assert not outside


def test_the_bundle_has_the_documented_versions():
    wanted = json.loads((ROOT / "tools/viewer/package.json").read_text("utf-8"))["dependencies"]
    first = (WEB / "vendor/vendor.js").read_text("utf-8").partition("\n")[0]
    for name, version in wanted.items():
        assert f"{name} {version}" in first
    assert {path.name for path in (WEB / "vendor").glob("LICENSE.*")} == {
        "LICENSE.three.txt",
        "LICENSE.spark.txt",
        "LICENSE.fflate.txt",
    }


def test_the_bundle_contains_everything_the_page_uses():
    named = set(
        re.findall(r"\w+", re.sub(r"//.*|from .*|export", "", (ROOT / "tools/viewer/vendor.mjs").read_text()))
    )
    used = {one for path in WEB.glob("*.js") for one in re.findall(r"vendor\.(\w+)", path.read_text("utf-8"))}
    used |= {"dyno"}
    assert used <= named
    assert named <= used | {"Color"}, "built in without need"
