"""A process that does COLMAP's work on one thread, one line of JSON for each request and each answer.

Run as ``python -m sfumato.sfm.worker`` by ``sfumato.sfm.crew``.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Features and pairs get their threads from several processes. Within one process they share COLMAP's BLAS,
# which is built without locks: now and then two threads spoil each other's numbers, or never come back.
_THREADS = 1


def extract(request: Mapping[str, Any]) -> None:
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


def match(request: Mapping[str, Any]) -> None:
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


_WORK: dict[str, Callable[[Mapping[str, Any]], None]] = {"extract": extract, "match": match}


def main() -> None:
    """Answer requests until the one who asks is gone."""
    # Ctrl-C reaches every process of a terminal; the one who asks ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What COLMAP prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.ERROR)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        try:
            _WORK[request["work"]](request)
            answer = {"error": None}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    """Pass requests on; end the process, whatever it does, when there can be no more."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
