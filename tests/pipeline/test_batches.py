import time

import numpy as np
import pytest
import tensorflow as tf

from sesemi import config
from sesemi.assembly import materials as materials_of
from sesemi.pipeline import batches as batches_module
from sesemi.pipeline.batches import index_batches
from sesemi.pipeline.pixels import DevicePixels, StreamedPixels, visible_labels

LABELED, UNLABELED = np.array([3, 5, 8, 11, 2]), np.arange(100, 137)


@pytest.fixture(params=[1000, 0], ids=["sorted", "cipher"], autouse=True)
def _both_ways(request, monkeypatch):
    monkeypatch.setattr(batches_module, "_SMALL_POOL", request.param)


def batches(start=0, stop=40, seed=0):
    stream = index_batches(LABELED, UNLABELED, labeled_batch_size=12, batch_size=8, seed=seed, start=start, stop=stop)
    return list(stream.as_numpy_iterator())


def test_every_epoch_is_an_exact_permutation_of_each_pool():
    found = batches()
    for name, pool in (("labeled", LABELED), ("unlabeled", UNLABELED)):
        sequence = np.concatenate([batch[name] for batch in found])
        epochs = sequence[: len(sequence) // len(pool) * len(pool)].reshape(-1, len(pool))
        assert len(epochs) >= 8
        assert (np.sort(epochs, axis=1) == np.sort(pool)).all()
        assert len({tuple(epoch) for epoch in epochs}) >= 8


def test_a_stream_may_start_anywhere():
    whole, rest = batches(), batches(start=23)
    assert [batch["step"] for batch in rest] == list(range(23, 40))
    for a, b in zip(whole[23:], rest, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_order_depends_on_the_seed():
    assert any((a["unlabeled"] != b["unlabeled"]).any() for a, b in zip(batches(), batches(seed=1), strict=True))


def test_every_image_comes_as_often_at_every_place_of_a_small_pool(monkeypatch):
    monkeypatch.setattr(batches_module, "_SMALL_POOL", 1000)
    stream = index_batches(np.arange(10), np.arange(10), labeled_batch_size=10, batch_size=10, seed=0, stop=2000)
    orders = np.stack([batch["labeled"] for batch in stream.as_numpy_iterator()])
    counts = np.stack([np.bincount(orders[:, place], minlength=10) for place in range(10)])
    # 81 degrees of freedom: 4.5 standard deviations of chi-square above its mean.
    assert ((counts - 200) ** 2 / 200).sum() < 81 + 4.5 * np.sqrt(2 * 81)


def test_pixels_are_gathered_and_unlabeled_images_have_no_label(rng):
    images = rng.integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    labels = visible_labels(np.array([0, 1, 2, 0, 1, 2]), np.array([1, 4]))
    assert labels.tolist() == [-1, 1, -1, -1, 1, -1]
    pixels = DevicePixels(images, labels)
    batch = pixels({"step": 9, "labeled": np.array([4, 1]), "unlabeled": np.array([0, 5, 5])})
    assert set(batch) == {"step", "labeled", "labels", "unlabeled", "labeled_index", "unlabeled_index"}
    np.testing.assert_array_equal(batch["labeled"], images[[4, 1]])
    np.testing.assert_array_equal(batch["labels"], [1, 1])
    np.testing.assert_array_equal(batch["unlabeled"], images[[0, 5, 5]])


def test_pixels_must_be_bytes():
    with pytest.raises(ValueError, match="float32"):
        DevicePixels(np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, int))


def test_on_a_cpu_the_images_exist_once(small):
    """50,000 CIFAR images are 147 MiB, and a second copy of them would stay for the whole run."""
    pixels = DevicePixels(small.images, small.labels)
    host = pixels.host_images()
    np.testing.assert_array_equal(host, small.images)
    assert np.shares_memory(host, np.asarray(memoryview(pixels.images)))

    materials = materials_of.gather(config.resolve({})[0])
    assert np.shares_memory(materials.data.train_images, materials.pixels.host_images())


def extra_batches(start, stop, labeled=6, size=8):
    found = index_batches(
        np.arange(5),
        np.arange(20),
        labeled_batch_size=labeled,
        batch_size=size,
        seed=3,
        start=start,
        stop=stop,
        extra=np.arange(20, 50),
    )
    return [batch["unlabeled"].numpy() for batch in found]


def test_every_second_unlabeled_image_is_an_extra_one():
    batches = extra_batches(0, 15)
    own, extra = np.concatenate([batch[::2] for batch in batches]), np.concatenate([batch[1::2] for batch in batches])
    for part, pool in ((own, range(20)), (extra, range(20, 50))):
        for start in range(0, len(part) - len(pool) + 1, len(pool)):
            assert sorted(part[start : start + len(pool)]) == list(pool)
    np.testing.assert_array_equal(extra_batches(7, 9), batches[7:9])
    with pytest.raises(ValueError, match="half of them extra"):
        extra_batches(0, 1, size=7)


def test_streamed_images_are_those_of_memory(small):
    class Slow:
        """Indexed like the array; some steps take longer than those after them."""

        shape, dtype, calls = small.images.shape, small.images.dtype, 0

        def __getitem__(self, index):
            Slow.calls += 1
            time.sleep(0.1 if Slow.calls % 8 < 2 else 0)
            return small.images[index]

    labels = visible_labels(small.labels, small.labeled)
    held, streamed = (kind(source, labels) for kind, source in
                      ((DevicePixels, small.images), (StreamedPixels, Slow())))  # fmt: skip
    how = {"labeled_batch_size": 6, "batch_size": 6, "seed": 1, "start": 2, "stop": 14}
    pools = small.labeled, small.unlabeled
    plain = list(index_batches(*pools, **how))
    fetched = list(index_batches(*pools, **how, fetch=streamed.fetch))
    assert len(plain) == len(fetched) == 12
    for batch, with_images in zip(plain, fetched, strict=True):
        one, other = held(batch), streamed(with_images)
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    np.testing.assert_array_equal(streamed.host_images()[3:5], small.images[3:5])


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("shorter now"), KeyError()])
def test_why_an_image_could_not_be_read_is_kept(small, error):
    class Fails:
        shape, dtype = small.images.shape, small.images.dtype

        def __getitem__(self, index):
            raise error

    streamed = StreamedPixels(Fails(), visible_labels(small.labels, small.labeled))
    how = {"labeled_batch_size": 6, "batch_size": 6, "seed": 1, "stop": 1, "fetch": streamed.fetch}
    with pytest.raises(tf.errors.OpError):
        next(iter(index_batches(small.labeled, small.unlabeled, **how)))
    assert streamed.failure == (str(error) or "KeyError")


def test_an_aligned_array_is_not_copied_and_a_read_only_one_is(rng):
    from sesemi.datasets.image_files import aligned_empty

    images = aligned_empty((5, 4, 4, 3))
    images[:] = rng.integers(0, 256, images.shape)
    labels = np.zeros(5, int)
    assert np.shares_memory(DevicePixels(images, labels).host_images(), images)
    images.flags.writeable = False
    copied = DevicePixels(images, labels).host_images()
    assert not np.shares_memory(copied, images)
    np.testing.assert_array_equal(copied, images)
