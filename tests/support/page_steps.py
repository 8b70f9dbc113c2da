"""Common steps of tests on the page."""

import numpy as np

from support.small_scenes import SIZE_PX

SCALE = 4
WINDOW_PX = (SCALE * SIZE_PX[0], SCALE * SIZE_PX[1])


def stand(browser, index):
    browser.run(f"sfumato.standIn(sfumato.cameras[{index}], 0), true")
    browser.wait("sfumato.standingIn() !== null")
    browser.settle()


def eye(browser):
    return np.array(browser.run("sfumato.camera.position.toArray()"))


def bare(browser, wanted):
    browser.resize(*WINDOW_PX)
    if browser.run("document.body.classList.contains('bare')") != wanted:
        browser.press("h")
    browser.settle()
