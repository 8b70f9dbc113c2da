"""A worker process that runs COLMAP on one thread; each request and each answer is one line of JSON.

Started by ``sfumato.sfm.worker_pool``; a request is the name of a task and its arguments.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import SfumatoError
from sfumato.sfm.loading import load_colmap

Tell = Callable[[str, int, int], None]
"""Called with the title of the step, the amount done, and the total; 0 for an unknown total."""

# Features and pairs run in several processes. Threads of one process share COLMAP's BLAS, which is built
# without locks: now and then two threads corrupt each other's numbers, or deadlock.
_THREADS = 1


def list_pictures(request: Mapping[str, Any], tell: Tell) -> None:
    """Write ``cameras`` and their pictures to a new ``database``, in the order given."""
    import pycolmap

    pycolmap.Database.open(request["database"]).close()
    for camera in request["cameras"]:
        options = pycolmap.ImageReaderOptions()
        options.camera_model = camera["model"]
        options.camera_params = camera["params"]
        pycolmap.import_images(
            request["database"], request["images"], pycolmap.CameraMode.SINGLE, camera["names"], options
        )


def extract(request: Mapping[str, Any], tell: Tell) -> None:
    """Find the features of the pictures ``names`` and write them to ``database``."""
    import pycolmap

    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.max_image_size = request["side_px"]
    options.num_threads = _THREADS
    options.sift.max_num_features = request["count"]
    options.sift.first_octave = -1 if request["doubled"] else 0
    pycolmap.extract_features(
        request["database"],
        request["images"],
        image_names=request["names"],
        extraction_options=options,
        device=pycolmap.Device.cpu,
    )


def match(request: Mapping[str, Any], tell: Tell) -> None:
    """Match and verify ``pairs`` of pictures and write the outcome to ``database``."""
    import pycolmap

    options = pycolmap.FeatureMatchingOptions()
    options.use_gpu = False
    options.num_threads = _THREADS
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = request["seed"]
    verification.ransac.max_error = request["tolerance_px"]
    verification.ransac.num_threads = _THREADS
    listed = pycolmap.ImportedPairingOptions()
    listed.match_list_path = Path(request["database"]).with_suffix(".txt")
    listed.match_list_path.write_text("".join(f"{a} {b}\n" for a, b in request["pairs"]), "utf-8")
    pycolmap.match_image_pairs(request["database"], options, listed, verification, pycolmap.Device.cpu)


def solve(request: Mapping[str, Any], tell: Tell) -> None:
    """Find cameras and points; ``task`` is a pickled ``sfumato.sfm.solving.Problem``."""
    # Safe to unpickle: only the parent process writes it.
    problem = pickle.loads(base64.b64decode(request["task"]))
    problem.solve(tell)


_WORK: dict[str, Callable[[Mapping[str, Any], Tell], None]] = {
    "import": list_pictures,
    "extract": extract,
    "match": match,
    "solve": solve,
}


def main() -> None:
    """Answer requests until the parent process ends."""
    # Ctrl-C reaches every process of a terminal; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Answers go to a copy of stdout, so that COLMAP's prints do not mix with them.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    load_colmap(errors=True)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def answer(said: Mapping[str, Any]) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    def tell(title: str, done: int, total: int) -> None:
        answer({"told": [title, done, total]})

    while True:
        request = json.loads(requests.get())
        try:
            _WORK[request["work"]](request, tell)
            answer({"error": None})
        except SfumatoError as error:
            answer({"error": str(error), "kind": type(error).__name__})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    """Pass requests on; end the process at once when the input ends."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)
