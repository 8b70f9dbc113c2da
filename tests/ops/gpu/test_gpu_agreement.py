"""The GPU's kernels, in Triton's interpreter, against the definitions in float64."""

import pytest

from support import gpu_bodies, gpu_cases, gpu_lists, gpu_rays

pytestmark = [pytest.mark.kernels, pytest.mark.slow]


@pytest.mark.parametrize("case", gpu_cases.CASES)
def test_results_and_gradients_agree_with_the_definition(case, interpreted):
    interpreted(gpu_cases.check, case)


def test_adam_agrees_with_the_definition(interpreted):
    interpreted(gpu_cases.check_adam)


def test_rigid_bodies_have_the_equations_of_the_definition(interpreted):
    interpreted(gpu_bodies.check_alignment, 200, 5)


@pytest.mark.parametrize("n", [0, 1, 5, 40])
def test_rays_meet_the_triangles_of_the_definition(n, interpreted):
    interpreted(gpu_cases.check_mesh_hits, n)


def test_free_rays_agree_with_the_definition(interpreted):
    interpreted(gpu_rays.check_free_rays)


def test_colours_of_free_rays_depend_on_their_origins(interpreted):
    interpreted(gpu_rays.check_rays_of_harmonics)


@pytest.mark.parametrize("one_order", [False, True])
def test_rays_of_an_image_agree_with_the_definition(one_order, interpreted):
    interpreted(gpu_rays.check_image_rays, one_order)


def test_rays_through_nothing_see_the_background(interpreted):
    interpreted(gpu_rays.check_nothing)


def test_nothing_is_drawn_of_nothing(interpreted):
    interpreted(gpu_cases.check_nothing)


def test_registration_passes_torchs_own_checks(interpreted):
    interpreted(gpu_cases.check_registration)


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_a_picture_of_gaussians_at_the_edges_is_the_definitions(model, interpreted):
    interpreted(gpu_cases.check_whole_chain, model)


@pytest.mark.parametrize(("width", "height", "n", "tall"), [(70, 37, 60, False), (40, 35, 40, True)])
def test_tiles_list_the_gaussians_that_touch_them(width, height, n, tall, interpreted):
    interpreted(gpu_lists.check_lists, width, height, n, tall)


def test_more_pairs_than_can_be_counted_are_refused(interpreted):
    interpreted(gpu_lists.check_limit)


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_steps_of_training_are_taken(strategy, interpreted):
    interpreted(gpu_cases.check_training_steps, strategy)


def test_tall_tiles_agree_with_the_definition(interpreted):
    interpreted(gpu_cases.check_tall_tiles)


def test_a_failure_in_the_interpreter_is_a_failure_here(interpreted):
    with pytest.raises(KeyError):
        interpreted(gpu_cases.check, "no such case")
