"""Pillow is the oracle: every operation is compared with it pixel by pixel, and not one may differ."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from sesemi.augmentation import operations, randaugment
from sesemi.augmentation.operations import OPERATIONS, Operation
from sesemi.augmentation.randaugment import RandAugment
from sesemi.primitives.rng import Draws


def affine(image, coefficients, fill):
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.NEAREST, fillcolor=fill)


PILLOW = {
    "identity": lambda image, none, fill: image,
    "autocontrast": lambda image, none, fill: ImageOps.autocontrast(image),
    "equalize": lambda image, none, fill: ImageOps.equalize(image),
    "brightness": lambda image, factor, fill: ImageEnhance.Brightness(image).enhance(factor),
    "color": lambda image, factor, fill: ImageEnhance.Color(image).enhance(factor),
    "contrast": lambda image, factor, fill: ImageEnhance.Contrast(image).enhance(factor),
    "sharpness": lambda image, factor, fill: ImageEnhance.Sharpness(image).enhance(factor),
    "posterize": lambda image, bits, fill: ImageOps.posterize(image, int(bits)),
    "solarize": lambda image, threshold, fill: ImageOps.solarize(image, threshold),
    "rotate": lambda image, degrees, fill: image.rotate(degrees, Image.Resampling.NEAREST, fillcolor=fill),
    "shear_x": lambda image, part, fill: affine(image, (1, part, 0, 0, 1, 0), fill),
    "shear_y": lambda image, part, fill: affine(image, (1, 0, 0, part, 1, 0), fill),
    "translate_x": lambda image, part, fill: affine(image, (1, 0, part * image.width, 0, 1, 0), fill),
    "translate_y": lambda image, part, fill: affine(image, (1, 0, 0, 0, 1, part * image.height), fill),
}
RANGES = {
    **dict.fromkeys(("identity", "autocontrast", "equalize"), (0, 0)),
    **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0.05, 0.95)),
    "posterize": (4, 8),
    "solarize": (0, 256),
    "rotate": (-30, 30),
    **dict.fromkeys(("shear_x", "shear_y", "translate_x", "translate_y"), (-0.3, 0.3)),
}


def by_pillow(name, images, magnitude, fill=127):
    """`images` ``[B, H, W, C]`` uint8 with one or three channels."""
    found = []
    for image in images:
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        filler = fill if image.shape[-1] == 1 else (fill,) * 3
        found.append(np.asarray(PILLOW[name](picture, float(magnitude), filler)).reshape(image.shape))
    return np.stack(found)


def crops(height, width, count=6):
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(height)
    found = []
    for number in range(count):
        photo = load_sample_images().images[number % 2]
        row, column = rng.integers(0, photo.shape[0] - 4 * height), rng.integers(0, photo.shape[1] - 4 * width)
        found.append(photo[row : row + 4 * height : 4, column : column + 4 * width : 4])
    return np.stack(found)


def odd_images(shape):
    """Noise, noise in a small range, one value, two values, black."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, shape)
    return np.stack([noise, 90 + noise // 7, 0 * noise + 33, np.where(noise < 9, 250, 3), 0 * noise]).astype(np.uint8)


@pytest.fixture(scope="session")
def pictures():
    from sklearn.datasets import load_digits

    return {
        "photos": np.concatenate([crops(32, 32), odd_images((32, 32, 3))]),
        "wide": np.concatenate([crops(17, 23), odd_images((17, 23, 3))]),
        "tall": np.concatenate([crops(28, 9), odd_images((28, 9, 3))]),
        "large": crops(70, 80, count=2),
        "digits": np.concatenate([load_digits().images[:6, ..., None].astype(np.uint8) * 15, odd_images((8, 8, 1))]),
        "tiny": odd_images((2, 2, 3)),
    }


def steps_of(name, count=12):
    """The ends of the range, the middle and random magnitudes between."""
    operation = OPERATIONS[name]
    inside = np.random.default_rng(len(name)).integers(operation.low, operation.high + 1, count)
    middle = (operation.low + operation.high) // 2
    return np.array(sorted({operation.low, middle, operation.high, *inside})) / operation.unit


@pytest.mark.parametrize("name", PILLOW)
def test_operation_is_pillows_to_the_bit(name, pictures):
    changed = 0
    for kind, images in pictures.items():
        for magnitude in steps_of(name):
            ours = np.asarray(operations.apply(name, images, np.full(len(images), magnitude), fill=91))
            expected = by_pillow(name, images, magnitude, fill=91)
            np.testing.assert_array_equal(ours, expected, err_msg=f"{kind}, {magnitude}")
            changed += (expected != images).any()
    assert changed or name == "identity"


def test_autocontrast_is_pillows_for_every_pair_of_extremes_under_xla():
    lows, highs = np.triu_indices(256)
    images = np.clip(np.arange(256)[:, None], lows, highs).reshape(16, 16, 16, -1).transpose(3, 0, 1, 2)
    ours = tf.function(lambda images: operations.apply("autocontrast", images, [0.0]), jit_compile=True)(images)
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    scale = 255.0 / np.maximum(high - low, 1)
    expected = np.where(low == high, images, (images * scale + -low * scale).astype(int).clip(0, 255))
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("jit", [False, True])
def test_blend_is_pillows_for_every_factor(jit):
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    factors = np.arange(OPERATIONS["brightness"].low, OPERATIONS["brightness"].high + 1) / 4096
    images = np.broadcast_to(every, (len(factors), 16, 16, 1))
    ours = tf.function(lambda: operations.apply("contrast", images, factors), jit_compile=jit)()
    expected = np.concatenate([by_pillow("contrast", every[None], factor) for factor in factors])
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("jit", [False, True])
def test_rotation_is_pillows_for_every_angle(jit):
    image = crops(19, 24, count=1)
    steps = np.arange(OPERATIONS["rotate"].low, OPERATIONS["rotate"].high + 1, 7)
    angles, images = steps / 128, np.broadcast_to(image, (len(steps), *image.shape[1:]))
    ours = tf.function(lambda: operations.apply("rotate", images, angles), jit_compile=jit)()
    np.testing.assert_array_equal(ours, np.concatenate([by_pillow("rotate", image, angle) for angle in angles]))


@pytest.mark.parametrize("channels", [2, 4, 5])
@pytest.mark.parametrize("name", sorted(set(PILLOW) - {"color", "contrast"}))
def test_other_channels_are_treated_each_as_grey(name, channels):
    images = np.random.default_rng(1).integers(0, 256, (3, 9, 7, channels), dtype=np.uint8)
    magnitude = steps_of(name)[-2 if len(steps_of(name)) > 1 else 0]
    ours = np.asarray(operations.apply(name, images, np.full(3, magnitude)))
    for channel in range(channels):
        expected = by_pillow(name, images[..., channel : channel + 1], magnitude)
        np.testing.assert_array_equal(ours[..., channel : channel + 1], expected)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_luma_of_other_channels_is_the_rounded_mean(channels):
    images = np.random.default_rng(2).integers(0, 256, (5, 9, 7, channels))
    luma = np.floor(images.sum(-1, keepdims=True) / channels + 0.5)
    mean = np.floor(luma.mean((1, 2, 3), keepdims=True) + 0.5)
    for name, degenerate in (("color", luma), ("contrast", mean)):
        ours = operations.apply(name, images, np.full(5, 0.25))
        np.testing.assert_array_equal(ours, np.floor(degenerate + 0.25 * (images - degenerate)))


def test_each_image_has_its_own_magnitude(pictures):
    images = pictures["photos"][:6]
    for name, operation in OPERATIONS.items():
        magnitudes = np.linspace(operation.low, operation.high, 6).astype(int) / operation.unit
        ours = operations.apply(name, images, magnitudes)
        for image, magnitude, found in zip(images, magnitudes, ours, strict=True):
            np.testing.assert_array_equal(found, by_pillow(name, image[None], magnitude)[0])


@pytest.mark.parametrize("name", PILLOW)
def test_magnitudes_are_uniform_over_the_range_of_fixmatch(name):
    found = np.asarray(OPERATIONS[name].magnitudes(Draws(0, 0).uniform("x", (20_000,)), None))
    low, high = RANGES[name]
    unit = OPERATIONS[name].unit
    assert found.min() >= low
    assert found.max() <= high
    np.testing.assert_array_equal(found * unit, np.rint(found * unit))
    if high > low:
        width = (high - low + (unit == 1)) / 5
        shares = np.histogram(found, low + width * np.arange(6))[0] / 20_000
        assert np.abs(shares - 0.2).max() < 0.015


@pytest.mark.parametrize("name", PILLOW)
def test_a_fixed_level_is_that_part_of_the_range(name):
    low, high = RANGES[name]
    for level in (0.0, 0.3, 1.0):
        found = np.asarray(OPERATIONS[name].magnitudes(Draws(0, 0).uniform("x", (2000,)), level))
        assert np.abs(found if low >= 0 else np.abs(found)).std() == 0
        expected = level * high if low < 0 else low + level * (high - low)
        assert abs(np.abs(found[0]) - expected) <= 0.8 / OPERATIONS[name].unit + 1e-6
        if low < 0 and level:
            assert abs((found < 0).mean() - 0.5) < 0.05


def views(policy, images, step=3, *, jit=None):
    def call(step):
        return policy(images, Draws(1, step))

    step = tf.constant(step, tf.int64)
    return np.asarray(call(step) if jit is None else tf.function(call, jit_compile=jit)(step))


def test_a_view_is_one_picture_of_pillows(pictures):
    images = np.concatenate([pictures["photos"][:6]] * 8)
    found = views(RandAugment(operations=1, level=0.6, probability=1.0, cutout=0, fill=20), images)
    drawn = set()
    for image, view in zip(images, found, strict=True):
        names = []
        for name, operation in OPERATIONS.items():
            uniform = np.array([0.2, 0.8], np.float32)
            for magnitude in set(np.asarray(operation.magnitudes(uniform, 0.6)).tolist()):
                if (by_pillow(name, image[None], magnitude, fill=20)[0] == view).all():
                    names.append(name)
        assert names
        drawn |= set(names)
    assert drawn == set(OPERATIONS)


@pytest.mark.parametrize(("batch", "shape", "operations"), [(6, (8, 8, 1), 1), (30, (17, 23, 3), 2)])
def test_eager_graph_and_xla_agree_to_the_bit(batch, shape, operations):
    images = np.random.default_rng(0).integers(0, 256, (batch, *shape), dtype=np.uint8)
    policy = RandAugment(operations)
    eager = views(policy, images)
    for jit in (False, True):
        np.testing.assert_array_equal(views(policy, images, jit=jit), eager)


def test_views_are_a_function_of_images_seed_step_and_name(pictures):
    images = pictures["photos"]

    def view(seed, step, name):
        return np.asarray(RandAugment()(images, Draws(seed, step).at(name)))

    first = view(1, 2, "strong")
    np.testing.assert_array_equal(view(1, 2, "strong"), first)
    for other in ((2, 2, "strong"), (1, 3, "strong"), (1, 2, "strong/1")):
        assert (view(*other) != first).any(axis=(1, 2, 3)).sum() > len(images) // 2


@pytest.mark.parametrize("batch", [1, 6, 14, 30])
@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (17, 23, 2)])
def test_views_have_the_shape_of_the_images_and_hold_pixels(batch, shape):
    images = np.random.default_rng(0).integers(0, 256, (batch, *shape), dtype=np.uint8)
    found = views(RandAugment(probability=1.0), images)
    assert found.shape == images.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 255
    np.testing.assert_array_equal(found, np.rint(found))
    np.testing.assert_array_equal(views(RandAugment(probability=1.0), images.astype(np.float32)), found)


@pytest.mark.parametrize("policy", [RandAugment(probability=0.0, cutout=0), RandAugment(operations=0, cutout=0)])
@pytest.mark.parametrize("batch", [6, 30])
def test_nothing_drawn_leaves_every_image_in_its_place(policy, batch):
    images = np.random.default_rng(0).integers(0, 256, (batch, 5, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(views(policy, images), images)


@pytest.fixture
def marks(monkeypatch):
    """Operations that write their number behind those already written."""

    def mark(number):
        return Operation(lambda images, none: images * 15 + number + 1)

    monkeypatch.setattr(randaugment, "OPERATIONS", {str(number): mark(number) for number in range(14)})


def drawn(policy, batch, steps):
    """Marks ``[steps, batch]``, traced once."""
    images = np.zeros((batch, 1, 1, 1), np.uint8)
    call = tf.function(lambda step: policy(images, Draws(1, step)))
    return np.stack([call(tf.constant(step, tf.int64)).numpy().ravel() for step in range(steps)]).astype(int)


def chi_square(counts):
    """In standard deviations from what equal shares would give."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize(("batch", "steps"), [(1, 1400), (6, 1400), (30, 700), (448, 140)])
def test_every_operation_is_as_likely_for_every_image(marks, batch, steps):
    found = drawn(RandAugment(operations=1, probability=1.0, cutout=0), batch, steps) - 1
    counts = np.stack([np.bincount(column, minlength=14) for column in found.T])
    assert counts.shape == (batch, 14)
    assert abs(chi_square(counts)) < 5
    if batch == 448:
        assert all((np.bincount(row) == 32).all() for row in found)


def test_rounds_are_independent(marks):
    found = drawn(RandAugment(operations=2, probability=1.0, cutout=0), 448, 60) - 16
    counts = np.bincount((found // 15 * 14 + found % 15).ravel(), minlength=196)
    assert counts.size == 196
    assert abs(chi_square(counts)) < 5


def test_probability_is_that_of_every_drawn_operation(marks):
    found = drawn(RandAugment(operations=2, probability=0.3, cutout=0), 448, 40)
    applied = (found > 0).astype(int) + (found > 14)
    for number, share in enumerate((0.49, 0.42, 0.09)):
        assert abs((applied == number).mean() - share) < 0.015


def test_each_image_draws_its_own_magnitude_in_each_round(monkeypatch):
    shade = Operation(lambda images, part: images * 16 + part * 16, 0, 15, 16)
    monkeypatch.setattr(randaugment, "OPERATIONS", {str(number): shade for number in range(14)})
    found = drawn(RandAugment(operations=2, probability=1.0, cutout=0), 448, 40)
    assert abs(chi_square(np.bincount(found.ravel(), minlength=256))) < 5
    neighbours = found[:, :-1] * 256 + found[:, 1:]
    assert len(set(neighbours.ravel())) > 0.8 * neighbours.size


def squares(images_shape, **arguments):
    """Rows and columns ``[B, H]``, ``[B, W]`` of the squares in white images, after checking that they are squares."""
    policy = RandAugment(operations=0, fill=9, **arguments)
    found = views(policy, np.full(images_shape, 255, np.uint8))
    inside = (found == 9).all(-1)
    assert ((found == 9) | (found == 255)).all()
    rows, columns = inside.any(2), inside.any(1)
    np.testing.assert_array_equal(inside, rows[:, :, None] & columns[:, None, :])
    return rows, columns


@pytest.mark.parametrize(("shape", "cutout", "side"), [((16, 16), 0.5, 8), ((9, 20), 1 / 3, 3), ((12, 7), 1.0, 7)])
def test_cutout_is_a_square_of_the_shorter_side_clipped_at_the_border(shape, cutout, side):
    rows, columns = squares((3000, *shape, 3), cutout=cutout, cutout_side="fixed")
    for marked, size in ((rows, shape[0]), (columns, shape[1])):
        centres = np.arange(size)[:, None]
        offset = np.arange(size) - centres + side // 2
        possible = {tuple(line) for line in (offset >= 0) & (offset < side)}
        assert {tuple(line) for line in marked} == possible


def test_cutout_is_centred_on_every_pixel_equally_often():
    rows, columns = squares((9000, 8, 8, 1), cutout=1 / 8, cutout_side="fixed")
    counts = np.bincount(rows.argmax(1) * 8 + columns.argmax(1), minlength=64)
    assert counts.sum() == 9000
    assert abs(chi_square(counts)) < 5


def test_random_cutout_has_every_side_up_to_the_longest():
    rows, columns = squares((9000, 32, 32, 1), cutout=0.25, cutout_side="random")
    assert (rows.any(1) == columns.any(1)).all()
    sides = np.maximum(rows.sum(1), columns.sum(1))
    counts = np.bincount(sides)
    assert len(counts) == 9
    assert np.abs(counts / 1000 - 1).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operations": -1}, "operations is -1; give"),
        ({"operations": 1.5}, "operations is 1.5; give"),
        ({"level": 1.2}, "level is 1.2; give"),
        ({"probability": -0.1}, "probability is -0.1; give"),
        ({"probability": float("nan")}, "probability is nan; give"),
        ({"cutout": 2}, "cutout is 2; give"),
        ({"cutout_side": "huge"}, "cutout_side is 'huge'; choose from random, fixed"),
        ({"fill": 256}, "fill is 256; give"),
        ({"fill": 0.5}, "fill is 0.5; give"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**arguments)
