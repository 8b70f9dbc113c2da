"""The report of a run as one self-contained HTML file."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from html import escape
from importlib.resources import files
from pathlib import Path

from sfumato.capture.dataset import Capture
from sfumato.capture.images import decode
from sfumato.display import clock
from sfumato.errors import SfumatoError
from sfumato.evaluation.verdict import verdict
from sfumato.outputs import write_text
from sfumato.run_report.camera_errors import camera_errors
from sfumato.run_report.facts import RunFacts, number, table
from sfumato.run_report.from_above import seen_from_above
from sfumato.run_report.svg_charts import Band, bars, curve
from sfumato.scene.gaussians import Gaussians
from sfumato.training.plan import GIB
from sfumato.training.schedules import downscale_at
from sfumato.viewer.photographs import THUMBNAIL_PX, shrunk, to_jpeg

# No external resources and no scripts.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MOST_PICTURE_BYTES = 32 << 20
_MOST_LISTED = 40


def write_report(path: Path, facts: RunFacts, gaussians: Gaussians | None, capture: Capture | None) -> None:
    """Write the report of a run.

    Args:
        path: the HTML file.
        facts: of the run.
        gaussians: of the scene, for the view from above; None: no such view.
        capture: its photographs, for the same.

    Raises:
        SfumatoError: the file cannot be written.
    """
    sections = [
        _head(facts, None if capture is None else len(capture.train_views)),
        _pictures(facts),
        _held_out(facts),
        _cameras(facts, gaussians, capture),
        _training(facts),
        _blocks(facts),
        _next(facts),
        _made_from(facts),
    ]
    title = escape(facts.folder.path.resolve().name)
    style = files("sfumato.run_report").joinpath("report.css").read_text("utf-8")
    write_text(
        path,
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} - report</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n",
    )


def _head(facts: RunFacts, photographs: int | None) -> str:
    train, test = table(facts.metrics, "train"), table(facts.metrics, "test")
    psnr, steps, count = number(test, "psnr"), number(train, "steps"), number(train, "gaussians")
    words = verdict(psnr, photographs=photographs, steps=None if steps is None else int(steps))
    what = [
        f"{psnr:.2f} dB on {len(facts.views)} held-out views" if psnr is not None else "",
        f"{count:,.0f} Gaussians" if count is not None else "",
        f"{steps:,.0f} steps" if steps is not None else "",
    ]
    title = escape(facts.folder.path.resolve().name)
    lead = f"{words[0].upper()}{words[1:]}" if words else "No view was held out: the quality was not measured"
    figures = " · ".join(word for word in what if word)
    return f'<h1>{title}</h1>\n<p class="lead">{escape(lead)}.</p>\n<p class="quiet">{escape(figures)}</p>'


def _pictures(facts: RunFacts) -> str:
    address = _picture(facts.folder.sheet)
    if not address:
        return ""
    return (
        f'<h2>Held-out views</h2>\n<figure><img src="{address}" alt="Contact sheet of held-out views">'
        "<figcaption>Photographs that training did not see, renders, differences.</figcaption></figure>"
    )


def _held_out(facts: RunFacts) -> str:
    rows = [(view.name, view.psnr) for view in facts.views if view.psnr is not None]
    if not rows:
        return ""
    test, native = table(facts.metrics, "test"), table(facts.metrics, "native")
    lines = [
        ("PSNR", _decibels(test, "psnr")),
        ("after an affine colour of each view", _decibels(test, "psnr_affine")),
        ("SSIM", _plain(test, "ssim", ".4f")),
        ("LPIPS", _plain(test, "lpips", ".4f")),
        ("measured at", _sides(facts.metrics.get("resolution"))),
    ]
    if native.get("size_px") != facts.metrics.get("resolution"):
        lines += [(f"PSNR at {_sides(native.get('size_px'))}", _decibels(native, "psnr"))]
    chart = bars("PSNR of held-out views", rows, "dB")
    return f"<h2>Quality of each held-out view</h2>\n{_table(lines)}\n{chart}"


def _cameras(facts: RunFacts, gaussians: Gaussians | None, capture: Capture | None) -> str:
    sfm, parts = facts.sfm, ["<h2>Cameras</h2>"]
    if sfm:
        against = [str(reason)[:300] for reason in sfm.get("against") or [] if isinstance(reason, str)]
        found = f"{_plain(sfm, 'registered', ',.0f')} of {_plain(sfm, 'pictures', ',.0f')} pictures"
        lines = [
            ("verdict", "; ".join([str(sfm.get("verdict", ""))[:40], *against])),
            ("with a camera", found),
            ("points", _plain(sfm, "points", ",.0f")),
            ("pictures that see a point", _plain(sfm, "mean_track_length", ".1f")),
            ("reprojection error", _plain(sfm, "mean_reprojection_error_px", ".2f", " px")),
            ("triangulation angle, median", _plain(sfm, "median_triangulation_angle_deg", ".1f", "°")),
            ("circle around the target covered", _plain(sfm, "arc_deg", ".0f", "° of 360°")),
        ]
        parts += [_table(lines), camera_errors(facts)]
    else:
        parts.append("<p>They were given with the photographs.</p>")
    if gaussians is not None and capture is not None and capture.views and len(gaussians):
        above = seen_from_above(gaussians, capture, facts.options.train.renderer)
        parts.append(
            f"<figure>{above}<figcaption>The scene from above. Blue cameras "
            "were trained on, orange ones held out.</figcaption></figure>"
        )
    parts += [_left_out(facts)]
    return "\n".join(part for part in parts if part)


def _left_out(facts: RunFacts) -> str:
    """Pictures without a camera, with thumbnails, and counts of unused frames by reason."""
    missing, dropped = facts.named("missing"), facts.named("left_out")
    parts = []
    if missing:
        images = facts.options.data / "images"
        items = [_thumbnail(images, name, reason) for name, reason in missing[:_MOST_LISTED]]
        parts.append(f'<h3>Without a camera: {len(missing)}</h3>\n<ul class="thumbs">{"".join(items)}</ul>')
    if dropped:
        counts = Counter(reason.partition(":")[0] for _, reason in dropped).most_common()
        words = ", ".join(f"{count} {reason}" for reason, count in counts)
        parts.append(f"<p>Not used: {len(dropped)} pictures ({escape(words)}).</p>")
    return "\n".join(parts)


def _thumbnail(images: Path, name: str, reason: str) -> str:
    picture = ""
    path = images / name
    # Names from a file are untrusted and may point outside the folder.
    with suppress(SfumatoError, OSError, ValueError):
        if path.resolve().is_relative_to(images.resolve()) and path.is_file():
            small = to_jpeg(shrunk(decode(path, turn=True)[..., :3], THUMBNAIL_PX), quality=78)
            picture = f'<img src="data:image/jpeg;base64,{b64encode(small).decode()}" alt="">'
    return f"<li>{picture}{escape(name)}<br>{escape(reason)}</li>"


def _training(facts: RunFacts) -> str:
    charts = []
    for key, heading, is_logarithmic in (
        ("psnr", "PSNR of the watched held-out views, dB", False),
        ("loss", "loss, log scale", True),
        ("gaussians", "Gaussians", False),
    ):
        points = [
            (event["step"], event[key])
            for event in facts.events
            if key in event and "step" in event and (event[key] > 0 or not is_logarithmic)
        ]
        if points:
            charts.append(
                curve(heading, sorted(points), bands=_resolutions(facts), logarithmic=is_logarithmic)
            )
    train, seconds = table(facts.metrics, "train"), table(facts.sfm, "seconds")
    lines = [(f"cameras: {name}", _duration(number(seconds, name))) for name in list(seconds)[:12]]
    peak = number(train, "peak_memory_bytes")
    lines += [
        ("training", _duration(number(train, "seconds"))),
        ("memory at its peak", f"{peak / GIB:.2f} GiB" if peak else ""),
    ]
    figures = "".join(f"<figure>{chart}</figure>" for chart in charts)
    return f"<h2>Training</h2>\n{figures}\n{_table(lines)}"


def _blocks(facts: RunFacts) -> str:
    """The blocks of a scene that was trained in several, and the quality of its seams."""
    seams, rows = table(facts.metrics, "seams"), facts.metrics.get("blocks")
    if not isinstance(rows, list) or not rows:
        return ""
    share = number(seams, "share_of_pixels")
    lines = [
        ("PSNR along the seams", _decibels(seams, "psnr_seams")),
        ("PSNR elsewhere", _decibels(seams, "psnr_elsewhere")),
        ("pixels in seams", f"{share:.0%}" if share is not None else ""),
    ]
    for row in rows[:_MOST_LISTED]:
        if isinstance(row, dict):
            figures = [
                _plain(row, "photographs", ",.0f", " photographs"),
                _plain(row, "gaussians", ",.0f", " Gaussians"),
                _plain(row, "steps", ",.0f", " steps"),
                _duration(number(row, "seconds")),
            ]
            words = ", ".join(figure for figure in figures if figure) or "not trained: the coarse model"
            lines.append((str(row.get("name", ""))[:40], words))
    return (
        "<h2>Blocks</h2>\n<p>The PSNR is that of all such pixels of the held-out views together; seams are "
        f"what two blocks or more were trained on.</p>\n{_table(lines)}"
    )


def _resolutions(facts: RunFacts) -> list[Band]:
    """Ranges of steps by the size of the photographs."""
    reports = [event for event in facts.events if "step" in event]
    if not reports or not reports[-1]["step"]:
        return []
    config, last = facts.options.train, reports[-1]
    whole = 60 * config.minutes if config.minutes else max(last["seconds"], 1e-9)
    bands: list[Band] = []
    begun = (0.0, 4)
    for event in reports:
        progress = event["step"] / config.steps if config.steps else min(event["seconds"] / whole, 1.0)
        shrink = downscale_at(config.schedule, progress)
        if shrink != begun[1]:
            bands.append(Band(begun[0], event["step"], _size_words(begun[1])))
            begun = event["step"], shrink
    return [*bands, Band(begun[0], last["step"], _size_words(begun[1]))]


def _size_words(shrink: int) -> str:
    return {4: "quarter size", 2: "half size"}.get(shrink, "full size")


def _next(facts: RunFacts) -> str:
    rows = facts.envelope.get("next_photographs")
    says = [str(row.get("says", ""))[:300] for row in rows or [] if isinstance(row, dict)] if rows else []
    if not says:
        return ""
    items = "".join(f"<li>{escape(one)}</li>" for one in says[:5])
    return f"<h2>Where to photograph next</h2>\n<ul>{items}</ul>"


def _made_from(facts: RunFacts) -> str:
    versions = table(facts.config, "versions")
    given = ["sfumato", "train", str(facts.options.data), "-o", str(facts.folder.path.resolve())]
    lines = [(str(name)[:40], str(version)[:60]) for name, version in list(versions.items())[:20]]
    command = escape(shlex.join([*given, *facts.options.changed()]))
    return (
        f"<h2>How it was made</h2>\n<p>The training as one command:</p>\n<pre>{command}</pre>\n"
        f"<p>Photographs of {_sides(facts.config.get('resolution'))}.</p>\n{_table(lines)}"
    )


def _picture(path: Path) -> str:
    """Data URL of a PNG file; empty if it is missing or too large."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= _MOST_PICTURE_BYTES:
            return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
    return ""


def _table(lines: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in lines
        if value
    )
    return f"<table>{rows}</table>" if rows else ""


def _plain(facts: dict[str, object], key: str, form: str, unit: str = "") -> str:
    value = number(facts, key)
    return "" if value is None else f"{value:{form}}{unit}"


def _decibels(facts: dict[str, object], key: str) -> str:
    return _plain(facts, key, ".2f", " dB")


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else clock(seconds) if seconds >= 10 else f"{seconds:.1f} s"


def _sides(size: object) -> str:
    pair = size if isinstance(size, Sequence) and len(size) == 2 else ()
    return "x".join(str(side) for side in pair if isinstance(side, int))
