"""A headless Chromium with software WebGL, driven over a pipe by its DevTools protocol."""

import base64
import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
WITHOUT_WEBGL = (
    *(flag for flag in FLAGS if "swiftshader" not in flag and "gpu" not in flag and "gl" not in flag),
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-3d-apis",
)
# Software rendering on two busy cores is slow.
PATIENCE_S = 90.0


def find_browser():
    """(program, environment) of a Chromium, or None. ``make test`` downloads one if there is none."""
    brought = Path(sys.prefix) / "browser" / "chromium"
    given = os.environ.get("SFUMATO_BROWSER")
    if given:
        return given, os.environ.copy()
    for name in NAMES:
        if shutil.which(name):
            return shutil.which(name), os.environ.copy()
    if not brought.is_file():
        return None
    libraries = [str(path) for path in (brought.parent / "lib").rglob("lib") if path.is_dir()]
    missing = "not found" in subprocess.run(["ldd", brought], capture_output=True, text=True).stdout
    paths = os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(os.pathsep)
    return str(brought), {**os.environ, **({"LD_LIBRARY_PATH": paths} if missing else {})}


class Browser:
    """A page in a separate browser that can only connect to this machine.

    Args:
        size_px: (width, height) of the window, CSS pixels.
        flags: of the browser.
        pixel_ratio: pixels drawn for each CSS pixel; less than 1 is faster, where pictures are not compared.
    """

    def __init__(self, size_px=(480, 320), flags=FLAGS, pixel_ratio=1):
        found = find_browser()
        if found is None:
            pytest.skip("no Chromium: set SFUMATO_BROWSER to one, or install it or Node.js and run make test")
        program, environment = found
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._number, self._events, self._rest, self._pixel_ratio = 0, [], b"", pixel_ratio
        read_in, self._write = os.pipe()
        self._read, write_out = os.pipe()
        # The protocol's pipes are file descriptors 3 and 4 of the browser.
        command = f'exec "$@" 3<&{read_in} 4>&{write_out}'
        options = [*flags, f"--window-size={size_px[0]},{size_px[1]}", f"--user-data-dir={self._folder.name}"]
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", program, *options, "about:blank"],
            pass_fds=(read_in, write_out),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_in)
        os.close(write_out)
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.do("Page.enable")
        self.do("Runtime.enable")
        self.set_reduced_motion(True)
        self.resize(*size_px)

    def __enter__(self):
        return self

    def __exit__(self, *ended):
        with contextlib.suppress(OSError, AssertionError):
            self._call("Browser.close")
        os.close(self._write)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        self._folder.cleanup()

    def do(self, method, **arguments):
        return self._call(method, session=self._session, **arguments)

    def _call(self, method, session=None, **arguments):
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]
            self._events.append(answer)

    def _next(self, deadline, method):
        while b"\0" not in self._rest:
            ready = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"{method}: the browser does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, f"{method}: the browser is gone"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def resize(self, width, height):
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=self._pixel_ratio,
            mobile=False,
        )

    def set_reduced_motion(self, wanted):
        """Ask pages to go to a view at once; each frame of a flight takes long without a graphics card."""
        value = "reduce" if wanted else "no-preference"
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": value}])

    def go_offline(self):
        self.do("Network.enable")
        self.do(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )

    def open(self, url):
        """Open an address and wait until its scene is shown."""
        self.do("Page.navigate", url=url)
        self.wait("window.sfumato !== undefined || document.querySelector('#loading.failed') !== null")
        assert not self.run("document.querySelector('#loading.failed')?.innerText ?? ''"), self.complaints()
        self.settle()

    def settle(self):
        self.run("sfumato.settled().then(() => true)")

    def run(self, code):
        """Evaluate an expression in the page and await its value."""
        found = self.do("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, f"{code}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, condition):
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.run(condition):
            assert time.monotonic() < deadline, f"{condition} never comes true; {self.complaints()}"
            time.sleep(0.1)

    def complaints(self):
        """Errors thrown by the page."""
        thrown = [e["params"] for e in self._events if e.get("method") == "Runtime.exceptionThrown"]
        return [one["exceptionDetails"].get("exception", {}).get("description", "") for one in thrown]

    def click(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            buttons = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, **buttons)

    def click_element(self, selector):
        """Click in the middle of an element, as with a mouse."""
        box = self.run(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
        self.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def titles(self):
        """Titles of all open pages."""
        targets = self._call("Target.getTargets")["targetInfos"]
        return [one["title"] for one in targets if one["type"] == "page"]

    def drag(self, start, end):
        self.do("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], button="left")
        for share in (0.3, 0.6, 1.0):
            x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
            self.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.do("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button="left")

    def press(self, key):
        self.run(
            f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true}}))"
        )

    def picture(self):
        """Contents of the window, uint8 [h, w, 3]."""
        data = base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def canvas(self, name="stage"):
        """Only the scene as drawn by the page, uint8 [h, w, 3]."""
        address = self.run(f"document.getElementById('{name}').toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))

    def exact(self):
        """Only the scene as drawn by the server, uint8 [h, w, 3]."""
        return self.canvas("exact")
