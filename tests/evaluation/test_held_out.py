"""Evaluation of held-out views: scores, pictures, metrics.json."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.errors import SfumatoError
from sfumato.evaluation.held_out import composited, score_views
from sfumato.evaluation.metrics import psnr, ssim
from sfumato.evaluation.metrics_file import write_metrics
from sfumato.evaluation.saved_images import (
    DIFFERENCE_COLOURS,
    DIFFERENCE_RANGE,
    NOT_COMPARED,
    difference_image,
)
from sfumato.evaluation.sheet import contact_sheet, progress_strip
from sfumato.render.png import to_uint8
from sfumato.scene.cameras import Camera

TRAIN = {"steps": 10, "seconds": 1.5, "gaussians": 7, "peak_memory_bytes": 1000}


def make_view(name, h=20, w=30, seed=0, alpha=None, mask=None):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (h, w, 3), np.uint8)
    if alpha is not None:
        alpha = np.full((h, w), alpha, np.uint8)
        rgb = (rgb * (alpha[..., None] / 255)).round().astype(np.uint8)
    camera = Camera(torch.eye(4), (20.0, 20.0), (w / 2, h / 2), (w, h))
    return SimpleNamespace(
        name=name,
        camera=camera,
        load=lambda: SimpleNamespace(rgb=rgb, alpha=alpha, mask=mask),
    )


def grey(value):
    return lambda camera: torch.full((camera.height, camera.width, 3), value)


def test_scores_are_those_of_each_view_and_their_means():
    views = [make_view("a.jpg", seed=1), make_view("b.jpg", seed=2)]
    report = score_views(grey(0.5), views)
    for view, score in zip(views, report.views, strict=True):
        target = torch.from_numpy(view.load().rgb) / 255
        assert score.psnr == pytest.approx(psnr(grey(0.5)(view.camera), target))
        assert score.ssim == pytest.approx(ssim(grey(0.5)(view.camera), target))
    assert report.psnr == pytest.approx((report.views[0].psnr + report.views[1].psnr) / 2)
    assert report.views[0].psnr != report.views[1].psnr


def test_transparent_photographs_go_over_the_background():
    view = make_view("a.png", alpha=0)
    report = score_views(grey(0.25), [view], background=(0.25, 0.25, 0.25))
    assert report.psnr > 100
    half = composited(make_view("a.png", alpha=51).load(), (1.0, 0.0, 0.0))
    straight = torch.from_numpy(make_view("a.png").load().rgb) / 255
    expected = 0.2 * straight + 0.8 * torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(half, expected, atol=0.003, rtol=0)


def left_half(h=20, w=30):
    mask = np.zeros((h, w), bool)
    mask[:, : w // 2] = True
    return mask


def test_metrics_count_the_pixels_that_masks_keep_and_say_so(tmp_path):
    whole, masked = make_view("a.jpg"), make_view("a.jpg", mask=left_half())
    target = torch.from_numpy(whole.load().rgb) / 255
    near = (target + 0.01).clamp(0, 1)
    wrong = near.clone()
    wrong[:, 15:] = 1 - target[:, 15:]
    first, second = (
        score_views(lambda camera, image=i: image, [masked], folder=tmp_path) for i in (near, wrong)
    )
    assert first.views == second.views, "masked pixels have no influence"
    assert first.psnr == pytest.approx(40, abs=0.2) and first.ssim > 0.99
    assert score_views(lambda camera: wrong, [whole]).psnr < 15
    assert (first.kept, score_views(grey(0.5), [whole]).kept) == (0.5, None)
    assert score_views(grey(0.5), [masked, make_view("b.jpg")]).kept == 0.75
    small = make_view("b.jpg", h=10)
    assert score_views(grey(0.5), [masked, small]).kept == (300 + 300) / (600 + 300), "pixels, not views"
    difference = np.asarray(Image.open(tmp_path / "a_difference.png"))
    assert (difference[:, 15:] == NOT_COMPARED).all() and not (difference[:, :15] == NOT_COMPARED).all(
        -1
    ).any()
    write_metrics(tmp_path / "metrics.json", first, train=TRAIN, original_size_px=(300, 200))
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["pixels"], found["kept"], found["test"]["views"][0]["kept"]) == ("kept by masks", 0.5, 0.5)
    assert found["original_resolution"] == [300, 200]


def test_a_view_whose_mask_keeps_nothing_does_not_count(tmp_path):
    views = [make_view("a.jpg", mask=np.zeros((20, 30), bool)), make_view("b.jpg")]
    report = score_views(grey(0.5), views, folder=tmp_path)
    assert math.isnan(report.views[0].psnr) and report.psnr == report.views[1].psnr
    write_metrics(tmp_path / "metrics.json", report, train=TRAIN)
    found = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert found["test"]["views"][0]["psnr"] is None and found["test"]["ssim"] == report.views[1].ssim
    contact_sheet(report, tmp_path, tmp_path / "sheet.png")
    nothing = score_views(grey(0.5), views[:1], folder=tmp_path)
    assert nothing.psnr is None and nothing.kept == 0
    contact_sheet(nothing, tmp_path, tmp_path / "sheet.png")


def test_differences_of_exposure_and_of_the_scene_are_distinguished(tmp_path):
    view = make_view("a.jpg", mask=left_half())
    target = torch.from_numpy(view.load().rgb) / 255
    darker = 0.5 * target + torch.tensor([0.05, 0.1, 0.2])
    darker[:, 15:] = 0.3
    report = score_views(lambda camera: darker, [view])
    assert report.psnr < 15 and report.psnr_affine > 60
    noise = 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    report = score_views(lambda camera: (target + noise).clamp(0, 1), [view])
    assert report.psnr < report.psnr_affine < report.psnr + 1
    write_metrics(tmp_path / "metrics.json", report, train=TRAIN)
    found = json.loads((tmp_path / "metrics.json").read_text())["test"]
    assert found["psnr_affine"] == found["views"][0]["psnr_affine"] == report.psnr_affine
    flat = score_views(grey(0.5), [make_view("a.jpg")])
    means = target.reshape(-1, 3).mean(dim=0)
    assert flat.psnr_affine == pytest.approx(psnr(means.expand_as(target), target))


def test_lpips_is_measured_when_given():
    metric = type("Fixed", (), {"description": "fixed", "__call__": lambda self, image, target, keep: 0.25})()
    report = score_views(grey(0.5), [make_view("a"), make_view("b")], lpips=metric)
    assert (report.lpips, report.lpips_net) == (0.25, "fixed")


def test_metrics_file_has_the_documented_format(tmp_path):
    views = [make_view("a.jpg"), make_view("b.jpg", seed=3)]
    equal = {id(v.camera): torch.from_numpy(v.load().rgb) / 255 for v in views[:1]}
    report = score_views(
        lambda camera: equal.get(id(camera), grey(0.5)(camera)), views, lpips_note="alex: not found"
    )
    write_metrics(tmp_path / "metrics.json", report, train=TRAIN)
    found = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert found["version"] == 1
    assert found["split"] == {"rule": "every 8th, sorted by name", "test": ["a.jpg", "b.jpg"]}
    assert found["resolution"] == [30, 20]
    assert found["train"] == TRAIN
    assert found["test"]["lpips"] is None
    assert found["test"]["lpips_note"] == "alex: not found"
    assert found["test"]["psnr"] is None, "an equal view has no finite PSNR"
    assert found["test"]["views"][0]["psnr"] is None
    assert found["test"]["views"][1]["psnr"] == pytest.approx(report.views[1].psnr)
    assert found["background"] == [0, 0, 0]
    assert found["quantised"] is False
    assert "torch" in found["environment"]


def test_no_views_are_no_scores(tmp_path):
    report = score_views(grey(0.5), [])
    write_metrics(tmp_path / "metrics.json", report, train=TRAIN, split_rule="none")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["test"]["psnr"], found["test"]["views"], found["resolution"]) == (None, [], None)
    with pytest.raises(SfumatoError, match="at least one held-out view"):
        contact_sheet(report, tmp_path, tmp_path / "sheet.png")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_render_is_named(bad):
    with pytest.raises(SfumatoError, match=r"view a.jpg: the render holds 1800 values that are NaN"):
        score_views(grey(bad), [make_view("a.jpg")])
    with pytest.raises(SfumatoError, match=r"view a.jpg: the render is \[5, 5, 3\]"):
        score_views(lambda camera: torch.zeros(5, 5, 3), [make_view("a.jpg")])


def test_pictures_have_plain_unique_names(tmp_path):
    names = ["left/a.jpg", "left_a.png", "A.jpg", "a.jpg", "b.jpg", "b_truth.jpg", "../up.jpg"]
    report = score_views(grey(0.5), [make_view(name) for name in names], folder=tmp_path / "test")
    files = sorted(p.name.lower() for p in (tmp_path / "test").iterdir())
    assert len(set(files)) == 3 * len(names)
    assert [view.stem for view in report.views][:4] == ["left_a", "left_a-2", "A", "a-2"]
    assert not list(tmp_path.glob("*.png"))


def test_pictures_show_what_was_compared(tmp_path):
    view = make_view("a.jpg")
    score_views(grey(0.5), [view], folder=tmp_path)
    assert (np.asarray(Image.open(tmp_path / "a_truth.png")) == view.load().rgb).all()
    assert (np.asarray(Image.open(tmp_path / "a.png")) == 128).all()


def test_difference_colours_cover_the_documented_range():
    target = torch.zeros(1, 3, 3)
    image = torch.tensor([0.0, DIFFERENCE_RANGE / 2, 2 * DIFFERENCE_RANGE])[None, :, None].expand(1, 3, 3)
    pixels = difference_image(image, target)[0]
    assert tuple(pixels[0]) == DIFFERENCE_COLOURS[0]
    assert tuple(pixels[1]) == DIFFERENCE_COLOURS[len(DIFFERENCE_COLOURS) // 2]
    assert tuple(pixels[2]) == DIFFERENCE_COLOURS[-1]
    lightness = np.array(DIFFERENCE_COLOURS) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_conversion_rounds_and_clamps():
    values = torch.tensor([[[-1.0, 0.5 / 255 + 1e-4, 2.0]]])
    assert to_uint8(values).tolist() == [[[0, 1, 255]]]


@pytest.mark.parametrize(("count", "size"), [(1, (20, 30)), (5, (40, 22)), (14, (16, 16)), (2, (8, 90))])
def test_contact_sheet_holds_every_chosen_picture(tmp_path, count, size):
    views = [make_view(f"{'long/' * 30}{i:02}.jpg", *size, seed=i) for i in range(count)]
    report = score_views(grey(0.5), views, folder=tmp_path)
    contact_sheet(report, tmp_path, tmp_path / "sheet.png", max_views=6)
    page = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    renders = (page == 128).all(axis=-1).sum()
    width, height = size[::-1]
    aspect = min(3.0, max(1 / 3, width / height))
    area = 272**2 * min(1, (width / height) / aspect, aspect / (width / height))
    assert renders / area == pytest.approx(min(count, 6), rel=0.05)


def test_contact_sheet_shows_the_worst_and_the_best(tmp_path):
    views = [make_view(f"{i}.jpg", seed=i) for i in range(9)]
    report = score_views(grey(0.5), views, folder=tmp_path)
    ranked = sorted(report.views, key=lambda view: view.psnr)
    for view in ranked[1:-1]:
        for path in tmp_path.glob(f"{view.stem}*.png"):
            path.unlink()
    contact_sheet(report, tmp_path, tmp_path / "sheet.png", max_views=2)
    with pytest.raises(SfumatoError, match="is missing or broken"):
        contact_sheet(report, tmp_path, tmp_path / "sheet.png", max_views=3)


def test_progress_strip_lays_frames_side_by_side(tmp_path):
    frames = [("10 s", np.full((12, 18, 3), 200, np.uint8)), ("20 s", np.full((12, 18, 3), 100, np.uint8))]
    progress_strip(frames, tmp_path / "strip.png", height=60)
    page = np.asarray(Image.open(tmp_path / "strip.png"))
    assert (page == 200).all(axis=-1).sum() == pytest.approx(60 * 90, rel=0.01)
    assert (page == 100).all(axis=-1).sum() == pytest.approx(60 * 90, rel=0.01)
    with pytest.raises(SfumatoError, match="at least one frame"):
        progress_strip([], tmp_path / "none.png")


def test_views_skipped_for_lack_of_time_are_named(tmp_path):
    """Compared views are spread evenly, in the original order, with the same scores as without a limit."""
    views = [make_view(f"{number:02d}.jpg", seed=number) for number in range(16)]
    whole = score_views(grey(0.5), views)
    assert whole.left_out == ()
    part = score_views(grey(0.5), views, progress=lambda done, total: done < 4)
    assert [view.name for view in part.views] == ["00.jpg", "04.jpg", "08.jpg", "12.jpg"]
    assert list(part.views) == [whole.views[place] for place in (0, 4, 8, 12)]
    assert len(part.left_out) == 12 and "01.jpg" in part.left_out
    write_metrics(tmp_path / "metrics.json", part, train=TRAIN)
    split = json.loads((tmp_path / "metrics.json").read_text())["split"]
    assert split["test"] == [view.name for view in part.views]
    assert split["not_compared"] == list(part.left_out)
