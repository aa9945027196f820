"""From settings to a method, and what does not go together with it."""

import pytest

from sesemi import config
from sesemi.assembly import method
from tests.messages import refused


def made(**given):
    return config.resolve(given)[0]


def test_hyperparameters_are_those_given_and_the_defaults_of_the_class():
    found = method.hyperparameters(made(method="fixmatch", arguments={"weight": 2, "threshold": 0.9}))
    assert found == {"weight": 2.0, "threshold": 0.9, "target": "iteration", "ema_decay": 0.99}
    # 2 and 2.0 are one value, and so one run.
    assert isinstance(found["weight"], float)
    riding = method.hyperparameters(made(method="vat", self_supervision="rotation"))
    assert riding["rotation_weight"] == 1.0
    assert method.make(made(method="vat", self_supervision="rotation")).terms[-1] == "rotation"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"method": "vat", "arguments": {"wieght": 1}},
            r"^--set wieght=1: vat has no such argument; did you mean weight. it has weight,",
        ),
        ({"method": "vat", "arguments": {"weight": -1.0}}, r"^--set weight=-1.0: a number from 0 to 1e\+06 is needed"),
        (
            {"method": "mean_teacher", "steps_per_execution": 2},
            "--steps-per-execution 2: mean_teacher would lose the te",
        ),
        ({"method": "noisy_student", "steps_per_execution": 2}, "would lose the students"),
        ({"method": "noisy_student", "promote": "balanced"}, "--promote balanced: noisy_student trains one student"),
        ({"method": "temporal_ensembling", "regularize_labeled": True}, "^--regularize-labeled: .*; leave it out"),
        (
            {"method": "mixmatch", "joint_forward": False, "labeled_batch_size": 4, "batch_size": 8},
            "^--no-joint-forward: .*; give equal sizes, or --joint-forward",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(given, words):
    with refused(words):
        method.made_for(made(**given))


def test_settings_of_strong_views_are_named_where_there_is_none():
    assert method.without_effect(*config.resolve({"method": "vat", "cutout": 0.1})) == ["cutout"]
    assert method.without_effect(*config.resolve({"method": "fixmatch", "cutout": 0.1})) == []
