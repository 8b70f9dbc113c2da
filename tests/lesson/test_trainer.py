"""The lesson in a real browser: gradients, training, keys, labels, languages, widths; no network requests."""

import json
import time

import pytest

from sfumato.lesson.page import LANGUAGES, assemble, words
from support.browser import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE_PX, PHONE_PX = (1280, 900), (360, 740)
TARGETS = ("sunset", "fruit", "flower", "waves")
# Rounding error of the difference of two losses near 1, divided by 2e-5, relative to gradients of 1e-4.
AGREES = 1e-4


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(assemble(), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def opened(file):
    """A browser that shows the page in English."""
    with Browser(WIDE_PX) as browser:
        browser.do("Network.enable")
        show(browser, f"{file}#en")
        yield browser


@pytest.fixture
def lesson(opened):
    """The page in its initial state."""
    opened.run(
        "sfumatoLesson.chooseLanguage('en'), document.querySelector('[name=rendering][value=sum]').click()"
    )
    opened.run("document.querySelector('[name=target][value=sunset]').click()")
    opened.run("document.getElementById('reset').click(), document.activeElement.blur(), scrollTo(0, 0)")
    yield opened
    assert not opened.complaints()


def show(browser, url):
    browser.do("Page.navigate", url="about:blank")
    browser.do("Page.navigate", url=url)
    browser.wait("window.sfumatoLesson !== undefined")


def key(browser, name, code=0, text=""):
    for kind in ("keyDown", "keyUp"):
        more = {"text": text} if text and kind == "keyDown" else {}
        browser.do("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **more)


def test_gradients_agree_with_finite_differences(lesson):
    rows = lesson.run("sfumatoLesson.checkGradients()")
    kinds = {(row["rendering"], row["isRound"]) for row in rows}
    assert kinds == {(rendering, isRound) for rendering in ("sum", "over") for isRound in (False, True)}
    of = {
        kind: {row["parameter"] for row in rows if (row["rendering"], row["isRound"]) == kind}
        for kind in kinds
    }
    colours = {"x", "y", "logU", "red", "green", "blue"}
    assert of["sum", True] == colours and of["over", True] == {*colours, "logit"}
    assert of["over", False] == {*colours, "logV", "angle", "logit"}
    assert all(row["worst"] < AGREES and row["largest"] > 1e-4 for row in rows), rows
    lesson.run("document.getElementById('check').click()")
    assert "Every formula agrees" in lesson.run("document.getElementById('checked').textContent")


@pytest.mark.parametrize("rendering", ["sum", "over"])
def test_the_terms_in_the_table_sum_to_the_gradient(lesson, rendering):
    lesson.run(f"document.querySelector('[name=rendering][value={rendering}]').click()")
    found = lesson.run("""(() => {
      for (let i = 0; i < 5; i++) sfumatoLesson.trainStep();
      const { trainer, explain } = sfumatoLesson, { boxes } = trainer, sum = [0, 0], i = 44;
      for (let row = boxes.top[i]; row < boxes.bottom[i]; row++)
        for (let column = boxes.left[i]; column < boxes.right[i]; column++)
          explain(trainer, i, column, row).share.forEach((value, k) => (sum[k] += value));
      return [sum, [trainer.gradient.x[i], trainer.gradient.y[i]]];
    })()""")
    assert found[0] == pytest.approx(found[1], rel=1e-9) and any(found[1])


@pytest.mark.parametrize("target", TARGETS)
def test_training_lowers_the_loss_tenfold(lesson, target):
    steps = lesson.run(f"""(() => {{
      document.querySelector('[name=target][value={target}]').click();
      const {{ trainer }} = sfumatoLesson, first = trainer.measured.loss;
      while (trainer.step < 300 && trainer.measured.loss > first / 10) sfumatoLesson.trainStep();
      return first > 0.1 && trainer.measured.loss <= first / 10 ? trainer.step : null;
    }})()""")
    assert steps is not None and 10 < steps <= 300


def test_densify_and_prune_change_the_number_but_not_the_picture_much(lesson):
    for rendering in ("sum", "over"):
        lesson.run(f"document.querySelector('[name=rendering][value={rendering}]').click()")
        before, count, after = lesson.run("""(() => {
          for (let i = 0; i < 30; i++) sfumatoLesson.trainStep();
          const { trainer } = sfumatoLesson, before = trainer.measured.loss;
          document.getElementById("densify").click();
          return [before, trainer.gaussians.count, trainer.measured.loss];
        })()""")
        assert count == 125 and after < 1.5 * before
        assert "now there are 125" in lesson.run("document.getElementById('status').textContent")
        assert lesson.run("document.querySelectorAll('#chart .event').length") == 1
    lesson.run("sfumatoLesson.trainer.gaussians.of.x[3] = -99, sfumatoLesson.trainStep()")
    lesson.run("document.getElementById('prune').click()")
    assert lesson.run("sfumatoLesson.trainer.gaussians.count") == 124
    lesson.run("document.getElementById('reset').click()")
    assert lesson.run("[sfumatoLesson.trainer.step, sfumatoLesson.trainer.gaussians.count]") == [0, 100]


def test_everything_works_by_keyboard(lesson):
    reached = []
    for _ in range(60):
        key(lesson, "Tab", 9)
        one = lesson.run("document.activeElement.id || document.activeElement.name || ''")
        reached.append(one)
        if one == "check":
            break
    wanted = "target own show-error show-ellipses train step densify prune reset shape rendering count-input "
    wanted += "by-itself position-input shape-input colour-input lambda-input chosen-input check"
    assert [one for one in reached if one in wanted.split()] == wanted.split()
    assert lesson.run("document.querySelector('#terms').childElementCount") == 0
    lesson.run("document.getElementById('chosen-input').focus()")
    key(lesson, "ArrowRight", 39)
    rows = lesson.run("[...document.querySelectorAll('#terms tbody tr')].map((one) => one.innerText)")
    assert len(rows) >= 11 and all(any(letter.isdigit() for letter in row) for row in rows[:7])
    lesson.run("document.getElementById('train').focus()")
    key(lesson, " ", 32, " ")
    lesson.wait("sfumatoLesson.trainer.step > 1")
    assert lesson.run("document.getElementById('train').textContent") == "Pause"
    key(lesson, " ", 32, " ")
    at = lesson.run("sfumatoLesson.trainer.step")
    assert lesson.run("document.getElementById('status').textContent").startswith(
        f"Paused at step {at}: loss 0."
    )
    time.sleep(0.1)
    assert lesson.run("sfumatoLesson.trainer.step") == at


def test_all_controls_have_accessible_names(lesson):
    lesson.run("document.getElementById('step').click()")
    nodes = lesson.do("Accessibility.getFullAXTree")["nodes"]
    wanted = {
        "button",
        "link",
        "radio",
        "checkbox",
        "switch",
        "slider",
        "image",
        "img",
        "group",
        "radiogroup",
    }
    named = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if not node.get("ignored") and role in wanted:
            named.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    assert all(all(names) for names in named.values()), named
    assert set(named["button"]) >= {"Train", "Step", "Densify", "Prune", "Reset", "Check the gradients"}
    assert set(named["radio"]) >= {"Sunset", "Fruit", "Flower", "Waves", "isotropic", "alpha compositing"}
    pictures = " ".join([*named.get("image", []), *named.get("img", [])])
    assert "Picture made of 100 Gaussians after 1 steps" in pictures and "Chart of the loss" in pictures
    assert lesson.run("document.getElementById('status').getAttribute('aria-live')") == "polite"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_complete_and_fits_a_phone(lesson, language):
    lesson.run(f"sfumatoLesson.chooseLanguage('{language}')")
    expected = words(language)
    assert lesson.run("document.documentElement.lang") == language
    assert lesson.run("document.title") == expected["page.title"]
    shown = lesson.run(
        "[...document.querySelectorAll('[data-word]')].map((one) => [one.dataset.word, one.textContent])"
    )
    assert all(text == expected[name] for name, text in shown) and len(shown) > 30
    for rendering in ("over", "sum"):
        lesson.run(f"document.querySelector('[name=rendering][value={rendering}]').click()")
        lesson.run(
            "{ const one = document.getElementById('chosen-input'); one.value = 7;"
            " one.dispatchEvent(new Event('input')) }"
        )
        text = lesson.run("document.body.innerText")
        assert "undefined" not in text and "{" not in text and expected["terms.towards"] in text
    lesson.resize(*PHONE_PX)
    assert lesson.run("document.documentElement.scrollWidth") <= PHONE_PX[0]
    lesson.resize(*WIDE_PX)


def test_the_language_is_that_of_the_browser_and_changes_without_losing_the_training(lesson, file):
    lesson.do("Emulation.setUserAgentOverride", userAgent="x", acceptLanguage="pt-PT,it-IT,fr")
    show(lesson, file)
    assert lesson.run("document.documentElement.lang") == "it"
    lesson.run("document.getElementById('step').click()")
    lesson.run("document.querySelector('#languages [hreflang=fr]').click()")
    state = "[document.documentElement.lang, location.hash, sfumatoLesson.trainer.step]"
    assert lesson.run(state) == ["fr", "#fr", 1]
    assert lesson.run("document.querySelector('[aria-current]').textContent") == "Français"
    lesson.run("location.hash = '#es'")
    lesson.wait("document.documentElement.lang === 'es'")
    assert lesson.run("document.getElementById('train').textContent") == words("es")["actions.train"]
    lesson.run("location.hash = '#it/projection'")
    lesson.wait("document.documentElement.lang === 'it'")
    assert abs(lesson.run("document.getElementById('it/projection').getBoundingClientRect().top")) < 200
    # Neither a language nor a valid name.
    show(lesson, f"{file}#100%")
    assert lesson.run("document.documentElement.lang") == "it"


def test_pictures_of_the_visitor_are_taken_and_others_refused(lesson):
    drop = """(async () => {
      const data = new DataTransfer(), file = %s;
      data.items.add(file);
      dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
    })()"""
    picture = """await new Promise((done) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 300, height: 200 });
      const context = canvas.getContext("2d");
      context.fillStyle = "#f00";
      context.fillRect(0, 0, 150, 200);
      canvas.toBlob((blob) => done(new File([blob], "own.png")));
    })"""
    lesson.run(drop % picture)
    lesson.wait("document.querySelector('[name=target][value=yours]')?.checked")
    # Red on the left, white elsewhere.
    assert lesson.run(
        "[0, 95].map((x) => [0, 1, 2].map((k) => sfumatoLesson.trainer.target[k * 9216 + x]))"
    ) == [
        [1, 0, 0],
        [1, 1, 1],
    ]
    lesson.run(drop % 'new File(["no picture"], "a<b.png")')
    lesson.wait("document.getElementById('status').textContent.includes('a<b.png is not a picture')")


def test_the_page_makes_no_requests(lesson):
    asked = [
        e["params"]["request"]["url"]
        for e in lesson._events
        if e.get("method") == "Network.requestWillBeSent"
    ]
    assert asked and all(url.partition(":")[0] in ("file", "data", "blob", "about") for url in asked), (
        json.dumps(asked)
    )
