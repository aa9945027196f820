"""Models of strangers: whole ones load, all others are one line, without warnings, and without much memory."""

import io
import tracemalloc
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

from sesemi.inference import saved
from sesemi.training import export
from sesemi.training.classifier import Classifier
from tests import conftest
from tests.messages import refused


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / saved.MODEL
    keras.utils.set_random_seed(0)
    export.save(export.build(Classifier(conftest.tiny_trunk(0.0), 3)), path)
    with zipfile.ZipFile(path) as model:
        return {name: model.read(name) for name in model.namelist()}


def elsewhere(weights, name, shape):
    weights[name] = h5py.ExternalLink("/etc/passwd", "/x")


def virtual(weights, name, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape)
    weights.create_virtual_dataset(name, layout)


def huge(weights, name, shape):
    weights.create_dataset(name, shape=(2**15, 2**15), dtype="f4", chunks=(64, 64), compression="gzip")


def other_shape(weights, name, shape):
    weights[name] = np.zeros((2, 2), np.float32)


def gone(weights, name, shape):
    pass


def changed(data, change):
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as weights:
        names = []
        weights.visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
        for name in names:
            shape = weights[name].shape
            del weights[name]
            change(weights, name, shape)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("config.json", lambda data: b" " * (64 * 2**20) + data, "unpacks to 64 MiB"),
        ("config.json", lambda data: b'{"a":' * 100_000, "nested too deep"),
        ("config.json", lambda data: b"[]", "an object is needed, it holds a list"),
        ("config.json", lambda data: b"{}", "'class_name' is missing"),
        ("config.json", lambda data: b"\xff", "utf-8"),
        ("config.json", lambda data: data.replace(b"keras.layers", b"os.path"), "asks for the module 'os.path'"),
        ("model.weights.h5", lambda data: None, "model.weights.h5"),
        ("model.weights.h5", lambda data: data[:3000], "truncated"),
        ("model.weights.h5", lambda data: b"no hdf5", "signature"),
        ("model.weights.h5", lambda data: changed(data, elsewhere), "its weights lie in another file"),
        ("model.weights.h5", lambda data: changed(data, virtual), "its weights lie in another file"),
        ("model.weights.h5", lambda data: changed(data, huge), "its weights claim more than"),
        ("model.weights.h5", lambda data: changed(data, other_shape), "could not be loaded"),
        ("model.weights.h5", lambda data: changed(data, gone), "could not be loaded"),
    ],
    ids=range(14),
)
def test_a_model_that_is_damaged_is_one_line(members, tmp_path, name, make, words):
    path = tmp_path / saved.MODEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as model:
        for other, data in (members | {name: make(members[name])}).items():
            if data is not None:
                model.writestr(other, data)
    tracemalloc.start()
    try:
        with (
            warnings.catch_warnings(),
            refused(f"not a model that Keras can read .*{words}.*get it again"),
        ):
            warnings.simplefilter("error")
            saved.load(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_whole_model_loads_packed_or_not(members, tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / saved.MODEL, "w", method) as model:
            for name, data in members.items():
                model.writestr(name, data)
        assert saved.load(tmp_path).image_shape == (8, 8, 2)
