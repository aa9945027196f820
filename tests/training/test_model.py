"""`SemiSupervisedModel` in somebody's own code: what it takes, what it refuses, and what it writes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sesemi import SemiSupervisedModel
from sesemi.errors import InputError
from sesemi.methods import METHODS
from sesemi.pipeline.pixels import DevicePixels
from sesemi.training.classifier import Classifier
from tests.conftest import tiny_trunk


@pytest.fixture(scope="module")
def teaching(small):
    return small.model("mean_teacher", run_eagerly=True)


def test_save_writes_the_evaluated_network_as_plain_keras(small, teaching, tmp_path):
    teaching.teacher.head.bias.assign([0.0, 5.0, 0.0])
    assert teaching.evaluated is teaching.teacher
    teaching.save(tmp_path / "model.keras")
    teaching.classifier.save(str(tmp_path / "student.keras"))
    for name, network in (("model", teaching.teacher), ("student", teaching.classifier)):
        expected = network.plain().predict(small.images, verbose=0)
        found = keras.models.load_model(tmp_path / f"{name}.keras").predict(small.images, verbose=0)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="is there already"):
        teaching.save(tmp_path / "model.keras", overwrite=False)
    with pytest.raises(InputError, match=r"must end with \.keras"):
        teaching.save(tmp_path / "model.h5")
    with pytest.raises(NotImplementedError, match=r"call its save\(path\)"):
        teaching.get_config()


def test_export_writes_a_saved_model(small, teaching, tmp_path, capfd):
    teaching.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    expected = teaching.evaluated.plain().predict(small.images, verbose=0)
    np.testing.assert_allclose(served.serve(small.images.astype("float32")), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"), [("loss", "sparse_categorical_crossentropy"), ("loss", keras.losses.MeanSquaredError()),
                        ("loss_weights", [1.0])]
)  # fmt: skip
def test_a_loss_of_ones_own_is_refused(teaching, name, value):
    with pytest.raises(InputError, match=f"^{name}=.*the losses are those of the method"):
        teaching.compile("sgd", **{name: value})


@pytest.mark.parametrize("name", ["class_weight", "sample_weight"])
def test_weights_of_classes_and_samples_are_refused(small, teaching, name):
    with pytest.raises(InputError, match=f"^{name}: the losses of the method count every image alike"):
        small.fit(teaching, **{name: {0: 1.0}})


def test_images_with_labels_are_no_batches(small, teaching):
    for given in ({"y": small.labels}, {"x": small.images, "y": small.labels}):
        with pytest.raises(InputError, match=r"^y: takes batches"):
            teaching.fit(**given)
    with pytest.raises(InputError, match=r"^y: takes batches"):
        teaching.fit(small.images, small.labels)


@pytest.mark.parametrize("wrong", [3, -2, 10**6])
def test_a_label_that_is_no_class_is_refused(small, teaching, wrong):
    labels = small.labels.copy()
    labels[5] = wrong
    with pytest.raises(InputError, match=rf"^labels={wrong}: is no class; .* from 0 \(or -1: unlabeled\) to 2"):
        SemiSupervisedModel(
            Classifier(tiny_trunk(0.0), 3), METHODS["supervised"](), pixels=DevicePixels(small.images, labels)
        )
    with pytest.raises(InputError, match=rf"^labels={wrong}: is no class"):
        teaching.evaluate(small.images, labels, verbose=0)
    with pytest.raises(InputError, match=rf"^labels={wrong}: is no class"):
        small.fit(teaching, validation_data=(small.images, labels))


def test_labels_that_are_no_whole_numbers_are_refused(small):
    labels = small.labels.astype(float)
    labels[5] = np.nan
    with pytest.raises(ValueError, match="whole numbers, got float64; -1 is unlabeled"):
        DevicePixels(small.images, labels)


def test_evaluation_asks_for_labeled_images(small, teaching):
    labels = np.where(np.arange(40) < 12, small.labels, -1)
    with pytest.raises(InputError, match=r"28 of 40 are -1, .*x\[y >= 0\]"):
        teaching.evaluate(small.images, labels, verbose=0)
    with pytest.raises(InputError, match="28 of 40 are -1"):
        small.fit(teaching, validation_data=(small.images, labels.tolist()))
    whole = tf.data.Dataset.from_tensor_slices((small.images, labels)).batch(20)
    with pytest.raises(InputError, match=r"^labels=-1: is no class; give batches .* from 0 to 2$"):
        teaching.evaluate(whole, verbose=0)


def test_a_label_that_is_no_class_in_a_batch_of_images_is_named(small):
    model = SemiSupervisedModel(Classifier(tiny_trunk(0.0), 3), METHODS["supervised"](), total_steps=1)
    model.compile("sgd", run_eagerly=True)
    images, labels = small.images[:4], np.array([0, 1, 2, 7])
    rows = {"step": [0], "labeled": [images], "unlabeled": [images], "labels": [labels]}
    with pytest.raises(InputError, match=r"^labels=7: is no class"):
        model.fit(tf.data.Dataset.from_tensor_slices(rows), verbose=0)


def test_the_loss_of_an_evaluation_is_the_mean_over_images_also_if_the_last_batch_is_small(small, teaching):
    probs = teaching.predict(small.images, verbose=0)
    expected = -np.log(probs[np.arange(40), small.labels]).mean()
    for size in (40, 33, 7):
        found = teaching.evaluate(small.images, small.labels, batch_size=size, verbose=0, return_dict=True)["loss"]
        assert found == pytest.approx(expected, rel=1e-5)
