import numpy as np
import pytest
from scipy import ndimage

from sesemi.augmentation.randaugment import RandAugment
from sesemi.augmentation.views import Augmentation, shift_and_flip
from sesemi.primitives import rng as random


def as_it_is(images):
    """In place of a preprocessing."""
    return images


def test_shift_is_scipys_reflection(rng):
    images = rng.normal(size=(25, 6, 7, 2)).astype(np.float32)
    offsets = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), -1).reshape(25, 2)
    ours = np.asarray(shift_and_flip(images, offsets))
    for image, offset, found in zip(images, offsets, ours, strict=True):
        expected = ndimage.shift(image, (*-offset, 0), order=0, mode="reflect")
        np.testing.assert_array_equal(found, expected)


def test_flip_comes_after_the_shift_and_only_where_asked(rng):
    images = rng.normal(size=(4, 5, 5, 1)).astype(np.float32)
    offsets = np.array([[0, 0], [1, -2], [2, 1], [0, 0]])
    flips = np.array([True, False, True, False])
    shifted, both = np.asarray(shift_and_flip(images, offsets)), np.asarray(shift_and_flip(images, offsets, flips))
    expected = np.where(flips[:, None, None, None], shifted[:, :, ::-1], shifted)
    np.testing.assert_array_equal(both, expected)


@pytest.fixture
def images(rng):
    return rng.normal(size=(2000, 4, 4, 1)).astype(np.float32)


def test_a_view_is_a_function_of_seed_step_and_name(images):
    def view(seed, step, name):
        return np.asarray(Augmentation().view("weak", images[:8], random.Draws(seed, step).at(name), as_it_is))

    np.testing.assert_array_equal(view(1, 2, "labeled"), view(1, 2, "labeled"))
    for other in ((2, 2, "labeled"), (1, 3, "labeled"), (1, 2, "unlabeled/0")):
        assert (view(1, 2, "labeled") != view(*other)).any()


def test_every_shift_is_as_likely_and_drawn_for_each_image():
    ramp = np.broadcast_to(np.arange(8.0, dtype=np.float32)[:, None, None], (5000, 8, 8, 1))
    view = np.asarray(Augmentation(shift=2, flip=False, noise=0).view("weak", ramp, random.Draws(0, 0), as_it_is))
    counts = np.bincount(np.rint(view[:, 3, 3, 0]).astype(int) - 1, minlength=5)
    assert counts.sum() == 5000
    assert np.abs(counts - 1000).max() < 150


def test_half_of_the_weak_views_are_mirrored_and_none_of_the_unflipped():
    ramp = np.broadcast_to(np.arange(8.0, dtype=np.float32)[None, :, None], (4000, 8, 8, 1))
    for kind, share in (("weak", 0.5), ("unflipped", 0.0)):
        view = np.asarray(Augmentation(shift=0, flip=True, noise=0).view(kind, ramp, random.Draws(0, 0), as_it_is))
        assert abs((view[:, 0, 0, 0] == 7).mean() - share) < 0.04
    never = np.asarray(Augmentation(shift=0, flip=False, noise=0).view("weak", ramp, random.Draws(0, 0), as_it_is))
    np.testing.assert_array_equal(never, ramp)


def test_noise_has_the_standard_deviation_asked_for(images):
    noise = (
        np.asarray(Augmentation(shift=0, flip=False, noise=0.15).view("weak", images, random.Draws(0, 0), as_it_is))
        - images
    )
    assert abs(noise.std() - 0.15) < 0.003
    assert abs(noise.mean()) < 0.003


def test_a_strong_view_is_distorted_as_raw_pixels_then_preprocessed_and_noisy(rng):
    raw = rng.integers(0, 256, (32, 8, 8, 3)).astype(np.uint8)
    policy = RandAugment(operations=1, probability=1.0, cutout=0.5)
    made = Augmentation(shift=2, flip=True, noise=0.3, strong=policy)
    draws = random.Draws(3, 4).at("unlabeled/1")

    def halved(pixels):
        """Where pixels were cut to 0 … 255 after it, or before the view, the numbers would be others."""
        return 0.5 * np.asarray(pixels, np.float32) - np.float32(1000)

    found = np.asarray(made.view("strong", raw, draws, halved))
    offsets, flips = draws.integers("shift", (32, 2), -2, 2), draws.uniform("flip", (32,)) < 0.5
    moved = np.asarray(shift_and_flip(raw, offsets, flips))
    expected = halved(np.asarray(policy(moved, draws.at("strong")))) + 0.3 * draws.normal("noise", raw.shape).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (moved != raw).any()
    assert (np.asarray(policy(moved, draws.at("strong"))) != moved).any()
    gentle = Augmentation(shift=2, flip=True, noise=0.3, strong=RandAugment(operations=0, cutout=0.0))
    strong, weak = (np.asarray(gentle.view(kind, raw, draws, halved)) for kind in ("strong", "weak"))
    np.testing.assert_allclose(strong, weak, rtol=1e-6)


def test_unknown_kind_is_refused(images):
    with pytest.raises(ValueError, match="no view 'huge'"):
        Augmentation().view("huge", images, random.Draws(0, 0), as_it_is)
