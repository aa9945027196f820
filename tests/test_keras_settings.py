"""What ``~/.keras/keras.json`` says does not break the program; it runs as it always does, and says so."""

import json
import os
import subprocess
import sys

import keras
import pytest

from sesemi import keras_settings
from tests.conftest import ROOT

# A run of the estimator prints its dtype, its layout, and what was said.
FIT = """
import json, sys, warnings
sys.path.insert(0, sys.argv[1])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import numpy as np
    import sesemi
    images = np.arange(16 * 8 * 8 * 3).reshape(16, 8, 8, 3).astype(np.uint8)
    labels = np.array([0, 1] * 4 + [-1] * 8)
    fitted = sesemi.SemiSupervisedClassifier(method="fixmatch", epochs=1, steps_per_epoch=1).fit(images, labels)
    layers = fitted.model_.get_layer("classifier").layers[1].layers
print(json.dumps({
    "dtypes": sorted({str(v.dtype) for v in fitted.model_.trainable_variables}),
    "format": [layer.data_format for layer in layers if hasattr(layer, "data_format")][0],
    "finite": bool(np.isfinite(fitted.predict_proba(images)).all()),
    "told": [str(warning.message) for warning in told if "keras.json" in str(warning.message)],
}))
"""


@pytest.mark.slow
def test_a_keras_json_of_channels_first_and_float16_changes_nothing(tmp_path):
    settings = {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-3, "backend": "torch"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    env = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | {"KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", FIT, str(ROOT)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["told"] == [
        "sesemi sets Keras for this process, whatever keras.json says: floatx is float32, not float16; "
        "image_data_format is channels_last, not channels_first; epsilon is 1e-07, not 0.001"
    ]
    assert (found["dtypes"], found["format"], found["finite"]) == (["float32"], "channels_last", True)


@pytest.fixture
def restored():
    yield
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.mark.usefixtures("restored")
def test_a_policy_that_somebody_chose_stays():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert keras_settings.settle() == ["floatx is float32, not float64"]
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras_settings.settle()
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")
    assert keras_settings.settle() == []


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="KERAS_BACKEND=tensorflow"):
        keras_settings.settle()
