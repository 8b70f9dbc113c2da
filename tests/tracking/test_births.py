"""Births and deaths: objects that appear are added, and objects that disappear end."""

from dataclasses import replace

import pytest
import torch

from sfumato.capture.multiview import load_multiview
from sfumato.maths.sh import SH_C0
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.held_out_cameras import HeldOutCameras
from sfumato.tracking.scene_over_time import scene_over_time
from sfumato.tracking.time_step import track_step
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import MISSING_STEPS, concatenated, start
from support.moving_scenes import MOVING, first_scene, moving_video, scene_at

pytestmark = [pytest.mark.kernels, pytest.mark.slow]

STEPS, COMES, GOES = 7, 2, 2
PLACE = torch.tensor([1.6, 0.0, 0.3])


def visitor():
    """A ball of other colours beside the moving one."""
    ball = first_scene().select(torch.arange(400, 400 + MOVING))
    return replace(ball, means=ball.means + PLACE, sh=-ball.sh)


def with_visitor(step):
    return concatenated(visitor(), scene_at(step)) if step >= COMES else scene_at(step)


def without_ball(step):
    scene = scene_at(step)
    return scene if step < GOES else scene.select(torch.arange(len(scene) - MOVING))


def with_a_ball_of(brightness):
    """The scene of the first step, with a grey ball."""
    scene = first_scene()
    moving = torch.arange(len(scene)) >= len(scene) - MOVING
    return replace(scene, sh=torch.where(moving[:, None, None], (brightness - 0.5) / SH_C0, scene.sh))


def tracked(root, at, steps=STEPS, masks=True, gaussians=None, **options):
    video = load_multiview(moving_video(root, steps=STEPS, at=at, masks=masks))
    gaussians, cameras = gaussians or first_scene(), video.train_cameras
    ids = torch.arange(len(gaussians) - MOVING, len(gaussians))
    colours = {"gains": torch.ones(len(cameras), 3), "offsets": torch.zeros(len(cameras), 3)}
    config = TrackConfig(nodes=8, views_per_step=30, **options)
    state = start(cameras, gaussians, ids, config, Foreground(video), **colours)
    while state.step < steps:
        state.add(track_step(state))
    return state, HeldOutCameras(video.test_cameras, gaussians, state.settings), video


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    return tracked(tmp_path_factory.mktemp("visited"), with_visitor)


def test_appearing_objects_are_added_and_tracked(visited):
    state, held_out, video = visited
    born = state.birth > 0
    assert born.any() and int(state.birth[born].min()) <= COMES + MISSING_STEPS
    means = state.means[-1][born]
    centre = visitor().means.mean(0)
    # The ball has a radius of 0.6; visual hulls of few views are larger.
    assert (means.median(0).values - centre).norm() < 0.7
    scene = scene_over_time(state, video.times)
    assert scene.means[0, scene.birth > 0].isnan().all()
    assert scene.means[-1].isfinite().all()
    last = STEPS - 1
    found = held_out.score(state.scene(state.poses), last).psnr
    without = held_out.score(
        concatenated(state.still_gaussians, scene_at(last).select(state.ids[~born])), last
    )
    assert found > without.psnr + 2


def test_disappearing_objects_end(tmp_path):
    state, _, video = tracked(tmp_path, without_ball)
    ended = state.death < STEPS
    assert ended.float().mean() > 0.6
    assert int(state.death[ended].min()) >= GOES
    scene = scene_over_time(state, video.times)
    gone = scene.death < STEPS
    assert scene.means[-1, gone].isnan().all() and scene.means[0].isfinite().all()
    assert len(scene.at(scene.times[-1]).means) == len(scene) - int(gone.sum())


def test_what_is_still_in_front_of_the_background_stays(tmp_path):
    """A dark ball in a place where photographs show a brighter one, but not what stands behind it."""
    dark, bright = with_a_ball_of(0.05), with_a_ball_of(0.3)
    state, _, _ = tracked(tmp_path, lambda step: bright, masks=False, gaussians=dark)
    assert (state.death > STEPS).float().mean() > 0.5


def test_without_changes_there_are_no_births_and_deaths(tmp_path):
    state, _, _ = tracked(tmp_path, scene_at)
    assert (state.birth == 0).all() and (state.death > STEPS).all() and (state.still_death > STEPS).all()


def test_births_can_be_switched_off(tmp_path):
    state, _, _ = tracked(tmp_path, with_visitor, COMES + MISSING_STEPS, births=False)
    assert len(state.ids) == MOVING and (state.death > STEPS).all()


def test_the_same_seed_gives_the_same_births(visited, tmp_path):
    first, second = visited[0], tracked(tmp_path, with_visitor)[0]
    for one, other in zip(first.means, second.means, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(first.gaussians.sh, second.gaussians.sh)
