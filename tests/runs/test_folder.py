"""A run folder whose files are damaged is refused in one line that names the file."""

import json

import pytest

from sesemi import config
from sesemi.runs import folder as folders
from sesemi.runs import results
from tests.messages import refused

RESULTS = {"split_sha256": "s", "data_sha256": "d", "steps": 10, "test_error": 5.0}
SPLIT = {"sha256": "s", "data_sha256": "d", "labels_sha256": "l", "labeled": [1], "validation": []}
NO_OBJECT = ["", "[]", "null", "{", "{}", "[" * 100_000, '{"a": ' + "1" * 5000 + "}", r'{"a": "\ud800"}', "\x00"]


@pytest.mark.parametrize("text", NO_OBJECT)
@pytest.mark.parametrize("name", ["config.json", "results.json", "split.json"])
def test_a_damaged_file_is_named_with_the_reason(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    run = folders.RunFolder(tmp_path)
    read = {
        "config.json": run.config,
        "results.json": run.results,
        "split.json": lambda: run.refuse_other_split(SPLIT),
    }[name]
    with refused(f"{name}: is damaged \\("):
        read()


@pytest.mark.parametrize("change", [
    {"test_error": "5"}, {"test_error": float("nan")}, {"steps": 1.5}, {"data_sha256": None}, {"promotions": [{}]},
    {"test_error_views": True}, {"files_sha256": 3}, {"warning": ["x"]},
])  # fmt: skip
def test_results_of_another_kind_are_damaged(tmp_path, change):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS | change))
    with refused(f"'{next(iter(change))}' cannot be"):
        folders.RunFolder(tmp_path).results()


def test_whole_results_can_be_told(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    run = folders.RunFolder(tmp_path)
    assert results.summary(run.results(), run).startswith("test error 5.00 %")


def test_a_split_without_its_keys_is_not_taken_for_the_same(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({k: v for k, v in SPLIT.items() if k != "labeled"}))
    with refused("split.json: is damaged .'labeled' is missing"):
        folders.RunFolder(tmp_path).refuse_other_split(SPLIT)


@pytest.mark.parametrize(("settings", "origins"), [([], {}), ({}, []), ({"data": 1}, {}), ({"a": 1}, {"a": 1})])
def test_a_config_of_another_shape_is_refused(tmp_path, settings, origins):
    (tmp_path / "config.json").write_text(json.dumps({"settings": settings, "origins": origins}))
    with refused("config.json: "):
        folders.RunFolder(tmp_path).config()


def test_a_setting_that_is_too_large_for_a_float_is_refused(tmp_path):
    made, origins = config.resolve({})
    text = config.to_json(made, origins)
    path = tmp_path / "config.json"
    path.write_text(text.replace(f'"learning_rate": {made.learning_rate}', '"learning_rate": 1' + "0" * 400))
    with refused("a number of 401 digits"):
        config.read_settings(path, {})
    path.write_text(text.replace(f'"learning_rate": {made.learning_rate}', '"learning_rate": 1e400'))
    with refused("must lie"):
        config.read_settings(path, {})
