"""Scenes trained again on half of the views."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.envelope.refits import refit
from sfumato.envelope.trust_file import read_trust, write_trust
from sfumato.errors import FormatError
from sfumato.render.settings import TraceSettings
from support.trusted import SETTINGS, SIZE, camera_at, gaussians_at, trust_of, view_of

PAIR = gaussians_at((-0.6, 0.0, 4.0), (0.6, 0.0, 4.0))


def views_of(scene, places=(-0.2, -0.1, 0.1, 0.2), **kind):
    return [view_of(scene, camera_at(x), **kind) for x in places]


def without(scene, row):
    logits = scene.logit_opacities.clone()
    logits[row] = -20.0
    return replace(scene, logit_opacities=logits)


@pytest.mark.parametrize("settings", [SETTINGS, TraceSettings(depth=False)])
def test_what_only_one_half_of_the_photographs_shows_deviates(settings):
    shown, hidden = views_of(PAIR, (-0.2, 0.1)), views_of(without(PAIR, 1), (-0.1, 0.2))
    views = [view for both in zip(shown, hidden, strict=True) for view in both]
    found = refit(PAIR, views, settings, steps=60)
    left, right = torch.sigmoid(found.logit_opacities).T
    assert float((left - 0.9).abs().max()) < 0.15
    assert float(right.max() - right.min()) > 0.3
    apart = found.deviation_of(PAIR, camera_at(), settings)
    half = SIZE[0] // 2
    assert float(apart[:, half:].max()) > 2 * float(apart[:, :half].max())


def test_photographs_of_another_brightness_change_nothing():
    views = views_of(PAIR, wrong_by=0.1)
    found = refit(PAIR, views, SETTINGS, steps=30)
    assert float(found.deviation_of(PAIR, camera_at(), SETTINGS).max()) < 0.02
    assert found.usual_deviation < 0.01


def test_masked_pixels_train_nothing():
    mask = np.zeros(SIZE[::-1], bool)
    mask[:, : SIZE[0] // 2] = True
    views = views_of(without(PAIR, 1), (0.0, 0.0), mask=mask)
    found = refit(PAIR, views, SETTINGS, steps=30)
    assert float(torch.sigmoid(found.logit_opacities[:, 1]).min()) > 0.5


def test_one_view_has_no_half():
    assert refit(PAIR, views_of(PAIR, (0.0,)), SETTINGS) is None


def test_the_same_views_give_the_same_bits_and_progress_counts_every_step():
    told = []
    first, again = (
        refit(PAIR, views_of(PAIR), SETTINGS, steps=5, progress=lambda *counts: told.append(counts))
        for _ in range(2)
    )
    assert torch.equal(first.logit_opacities, again.logit_opacities) and torch.equal(first.sh, again.sh)
    assert told[:10] == [(done, 10) for done in range(1, 11)]


def trusted():
    trust = trust_of(PAIR, [[1], [1]], [[0.0, 0.0, 0.0]])
    views = [view_of(s, camera_at(x)) for s, x in ((PAIR, 0.0), (without(PAIR, 1), 0.1))]
    return replace(trust, refits=refit(PAIR, views, SETTINGS, steps=40))


def test_where_the_halves_deviate_the_expected_error_is_larger():
    trust = trusted()
    plain = replace(trust, refits=None)
    ratio = trust.values_of_pixels(camera_at()) / plain.values_of_pixels(camera_at())
    row, (left, right) = SIZE[1] // 2, (SIZE[0] // 2 - 3, SIZE[0] // 2 + 3)
    assert float(ratio[row, right]) > 1.25 * float(ratio[row, left])
    one = trust.select(torch.tensor([1]))
    assert len(one.gaussians) == 1 and one.render(camera_at()).shape == SIZE[::-1]


def test_refits_survive_saving_and_loading(tmp_path):
    trust, path = trusted(), tmp_path / "trust.npz"
    write_trust(trust, path)
    again = read_trust(path, PAIR, SETTINGS)
    assert torch.equal(again.render(camera_at(0.3)), trust.render(camera_at(0.3)))


@pytest.mark.parametrize(
    "name, value, word",
    [
        ("refit_sh", None, "refit_sh"),
        ("refit_sh", np.zeros((2, 2, 4, 3), np.float16), "not of this scene"),
        ("refit_sh", np.full((2, 2, 1, 3), np.inf, np.float16), "infinity"),
        ("refit_logit_opacities", np.zeros((2, 3), np.float32), "not of this scene"),
        ("refit_logit_opacities", np.full((2, 2), np.nan, np.float32), "NaN"),
        ("usual_deviation", np.array([-1.0]), "at least 0"),
        ("usual_deviation", np.zeros(0), "at least 0"),
    ],
)
def test_damaged_refits_are_refused(tmp_path, name, value, word):
    path = tmp_path / "trust.npz"
    write_trust(trusted(), path)
    arrays = dict(np.load(path))
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    np.savez(path, **arrays)
    with pytest.raises(FormatError, match=word):
        read_trust(path, PAIR, SETTINGS)
