"""Selection of pairs to match."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pycolmap
import pytest

from sfumato.sfm import ambiguity, features, pairs
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pairs import choose_pairs, most_alike, near_by_gps, neighbours, similarity
from support.compared import descriptors, picture


def film(count, sequence="film"):
    return [picture(f"{sequence}/{number:04d}.jpg", sequence) for number in range(count)]


def test_pictures_of_two_scenes_are_distinguished():
    pictures = film(16)
    of = descriptors(pictures, lambda name: int(name[-5]) % 2)
    alike = similarity([of[one.name] for one in pictures], seed=0)
    same = np.equal.outer(np.arange(16) % 2, np.arange(16) % 2) & ~np.eye(16, dtype=bool)
    other = np.not_equal.outer(np.arange(16) % 2, np.arange(16) % 2)
    assert alike[same].min() > alike[other].max() + 0.1
    np.testing.assert_allclose(np.diag(alike), 1.0, atol=1e-5)
    np.testing.assert_array_equal(alike, alike.T)


def test_overlapping_pictures_are_more_similar(solved):
    """With real features: neighbours on the path compared with its two ends."""
    of = features.read_descriptors(solved.out / "work/database.db")
    alike = similarity([of[name] for name in sorted(of)], seed=0)
    assert min(np.diag(alike, 1)) > alike[:3, -3:].max() + 0.05


def test_similarity_is_deterministic_and_handles_empty_pictures():
    of = list(descriptors(film(6)).values())
    of[2] = np.zeros((0, 128), np.uint8)
    one, two = similarity(of, seed=3), similarity(of, seed=3)
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all() and not one[2].any()
    assert not similarity([np.zeros((0, 128), np.uint8)] * 3, seed=0).any()


def test_neighbours_are_within_the_same_video():
    pictures = film(80, "a") + film(5, "b") + [picture("c/photo.jpg")]
    found = list(neighbours(pictures, 8))
    assert len(found) == len(set(found)) and all(a < b for a, b in found)
    first = sorted(b for a, b in found if a == 0)
    assert first == [*range(1, 9), 16, 32, 64]
    assert {(a, b) for a, b in found if b >= 80} == set(combinations(range(80, 85), 2))


def test_pictures_that_were_taken_near_each_other_are_matched():
    along = [replace(picture(f"{n}.jpg"), place=(47.0, 8.0 + 1e-4 * n, None)) for n in range(6)]
    found = set(near_by_gps(along, 2))
    assert {(n, n + 1) for n in range(5)} <= found
    assert all(0 < second - first <= 2 for first, second in found)
    # Across the antimeridian too.
    both = [replace(along[0], place=(0.0, degrees, 5.0)) for degrees in (179.9999, -179.9999, 10.0)]
    assert (0, 1) in set(near_by_gps(both, 1))
    assert not list(near_by_gps([along[0], *(picture(f"{n}.jpg") for n in range(5))], 2))
    with_gps = [replace(picture(f"{n}.jpg"), place=(47.0, 8.0 + 1e-4 * n, None)) for n in range(60)]
    chosen = choose_pairs(
        with_gps, descriptors(with_gps, lambda name: int(name[0]) % 4), SfmConfig(pairs="retrieval")
    )
    assert set(near_by_gps(with_gps, 12)) <= set(chosen)


def test_the_most_similar_pictures_are_selected():
    alike = np.array([[1.0, 0.9, 0.1, 0.2], [0.9, 1, 0.3, 0.4], [0.1, 0.3, 1, 0.8], [0.2, 0.4, 0.8, 1]])
    assert set(most_alike(alike, 1)) == {(0, 1), (2, 3)}
    assert set(most_alike(alike, 9)) == set(combinations(range(4), 2))
    assert set(most_alike(-alike, 1)) == {(0, 2), (1, 2), (0, 3)}


@pytest.mark.parametrize("kind", ["sequential", "retrieval", "exhaustive", "auto"])
def test_pairs_are_sorted_distinct_and_deterministic(kind):
    pictures = film(40)
    of = descriptors(pictures)
    config = SfmConfig(pairs=kind)
    found = choose_pairs(pictures, of, config)
    assert found == sorted(set(found)) == choose_pairs(pictures, of, config)
    assert all(0 <= a < b < 40 for a, b in found)


def test_few_pictures_are_matched_exhaustively(monkeypatch):
    monkeypatch.setattr(pairs.machine, "cores", lambda: 1)
    photographs = [picture(f"p/{number:03d}.jpg") for number in range(40)]
    assert choose_pairs(photographs, {}, SfmConfig()) == list(combinations(range(40), 2))
    assert choose_pairs(film(25), {}, SfmConfig()) == list(combinations(range(25), 2))
    many = film(60)
    assert choose_pairs(many, {}, SfmConfig(), exhaustive=True) == list(combinations(range(60), 2))


def test_many_photographs_are_matched_by_similarity(monkeypatch):
    """Each is matched with every picture of its scene, although the order is mixed."""
    monkeypatch.setattr(pairs.machine, "cores", lambda: 1)
    pictures = [picture(f"p/{number:03d}.jpg") for number in range(80)]
    of = descriptors(pictures, lambda name: int(name[4]) % 4)
    found = set(choose_pairs(pictures, of, SfmConfig()))
    assert len(found) < 80 * 79 / 2 / 2
    same = {
        (a, b)
        for a, b in combinations(range(80), 2)
        if (int(pictures[a].name[4]) - int(pictures[b].name[4])) % 4 == 0
    }
    assert same <= found
    assert all((i, i + 1) in found for i in range(79)), "and with the ones before and after it"


def test_long_videos_are_matched_sequentially_and_at_loop_closures(monkeypatch):
    """The last frames show the same as the first ones."""
    monkeypatch.setattr(pairs.machine, "cores", lambda: 1)
    pictures = film(120)
    of = descriptors(pictures, lambda name: 1 if 6 <= int(name[-8:-4]) < 114 else 0)
    found = set(choose_pairs(pictures, of, SfmConfig()))
    assert set(neighbours(pictures, 8)) <= found
    assert {(a, b) for a in range(6) for b in range(114, 120)} <= found


def test_photographs_are_ordered_by_the_numbers_in_their_names(tmp_path):
    pictures = sorted((picture(f"p{number}.jpg") for number in range(12)), key=lambda one: one.name)
    numbers = [int(one.name[1:-4]) for one in pictures]
    found = {frozenset((numbers[a], numbers[b])) for a, b in pairs.in_a_row(pictures, 1)}
    assert found == {frozenset((i, i + 1)) for i in range(11)}
    with pycolmap.Database.open(tmp_path / "a.db") as opened:
        camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", 50.0, 64, 48)
        opened.write_camera(camera, use_camera_id=True)
        for number, one in zip(numbers, pictures, strict=True):
            image = pycolmap.Image(name=one.name, camera_id=1, image_id=number + 1)
            opened.write_image(image, use_image_id=True)
    near = ambiguity.near_pairs(tmp_path / "a.db", pictures, 1)
    assert near == {(i, i + 1) for i in range(1, 12)}
