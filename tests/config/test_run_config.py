import dataclasses
import json

import pytest

from sesemi import config
from sesemi.commands.parser import as_typed
from sesemi.config import presets, registry, sources
from sesemi.config.sections import SECTIONS, SETTINGS, ViewSettings
from sesemi.config.setting import settings_of
from sesemi.errors import InputError
from tests.messages import refused


def resolve(**given):
    return config.resolve(given)


def test_no_flags_run_the_digits_demo():
    found, origins = resolve()
    assert (found.dataset, found.network, found.method, found.labels) == ("digits", "mini", "sesemi", 50)
    assert origins["labels"].startswith("default")


def test_the_command_of_2019_has_the_settings_of_2019():
    found, origins = resolve(network="wrn", dataset="cifar10", labels=4000, gpu="0")
    assert (found.epochs, found.batch_size, found.labeled_batch_size) == (50, 16, 96)
    assert (found.learning_rate, found.learning_rate_power, found.momentum, found.l2) == (0.05, 0.5, 0.9, 5e-4)
    assert (found.dropout, found.trunk_dropout, found.zca, found.flip, found.shift) == (0.2, 0.0, True, True, 2)
    assert origins["learning_rate"].startswith("paper")
    assert origins["labels"] == "user"


@pytest.mark.parametrize(
    ("method", "network", "dropout", "trunk_dropout"),
    [
        ("sesemi", "convnet", 0.5, 0.5),
        ("sesemi", "wrn", 0.5, 0.0),
        ("sesemi", "nin", 0.2, 0.0),
        ("asl", "wrn", 0.2, 0.0),
        ("asl", "convnet", 0.5, 0.5),
    ],
)
def test_dropout_on_svhn(method, network, dropout, trunk_dropout):
    found, _ = resolve(method=method, network=network, dataset="svhn")
    assert (found.dropout, found.trunk_dropout) == (dropout, trunk_dropout)
    assert (found.flip, found.zca) == (False, False)
    assert found.epochs == (300 if method == "asl" else 30)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dataset": "cifar10", "labels": 4001}, ["4001", "10 classes", "4000 or 4010"]),
        ({"dataset": "cifar10", "labels": 0}, ["--labels 0", "at least one image a class"]),
        ({"dataset": "cifar10", "labels": -10}, ["-10"]),
        ({"dataset": "cifar10", "labels": 60_000}, ["only 50000", "use 50000 or all"]),
        ({"dataset": "svhn", "labels": 73_255}, ["use 73250 or all"]),
        ({"labels": "many"}, ["--labels many", "all"]),
        ({"dataset": "mnist"}, ["--dataset mnist", "digits"]),
        ({"network": "resnet"}, ["--network resnet", "convnet"]),
        ({"learning_rate": 0.0}, ["--learning-rate 0.0"]),
        ({"learning_rate": float("nan")}, ["--learning-rate nan"]),
        ({"learning_rate": float("inf")}, ["--learning-rate inf"]),
        ({"epochs": 0}, ["--epochs 0"]),
        ({"batch_size": -1}, ["--batch-size -1"]),
        ({"seed": -1}, ["--seed -1"]),
        ({"seed": 2**31}, ["--seed"]),
        ({"validation": 1.0}, ["--validation 1.0"]),
        ({"views": 3}, ["--views 3"]),
        ({"name": "../elsewhere"}, ["--name"]),
        ({"name": ".."}, ["--name"]),
        ({"gpu": "0,0"}, ["--gpu 0,0", "once"]),
        ({"epochs": 1.5}, ["--epochs 1.5", "int"]),
        ({"epochs": True}, ["--epochs True"]),
        ({"colour": 1}, ["colour", "unknown setting"]),
        ({"learning_rat": 1}, ["unknown setting 'learning_rat'; did you mean learning_rate"]),
        ({"method": "fixmach"}, ["--method fixmach: choose from", "did you mean fixmatch or"]),
        ({"network": "WRN28-2"}, ["--network WRN28-2: choose from", "; did you mean wrn28_2"]),
        ({"dataset": "cifar-10"}, ["--dataset cifar-10: choose from", "; did you mean cifar10"]),
        ({"schedule": "cosin"}, ["; did you mean cosine"]),
        ({"optimizer": "lamb"}, ["--optimizer lamb", "sgd, adam"]),
        ({"self_supervision": "rotation"}, ["sesemi has that term already"]),
        ({"promote": "balanced", "promote_from": 30}, ["--promote-from 30", "only 30 epochs"]),
        ({"promote": "all"}, ["--promote all"]),
        ({"promote_from": 3}, ["--promote-from 3", "of use only with --promote threshold or --promote balanced"]),
        ({"promote": "threshold", "promote_fraction": 0.2}, ["--promote-fraction 0.2", "--promote balanced"]),
        ({"promote": "balanced", "promote_fraction": 0.0}, ["--promote-fraction 0.0"]),
        ({"promote": "balanced", "labels": "all"}, ["no unlabeled image to promote"]),
        ({"schedule": "cosine", "learning_rate_power": 2.0}, ["--learning-rate-power 2.0", "--schedule polynomial"]),
        ({"promote_fraction": 1.1}, ["--promote-fraction 1.1"]),
        ({"labels": 50, "labels_from": "x"}, ["--labels 50", "leave it out"]),
    ],
)
def test_bad_values_are_refused_in_one_line(given, words):
    with pytest.raises(InputError) as error:
        resolve(**given)
    assert all(word in as_typed(error.value) for word in words), as_typed(error.value)
    assert "\n" not in as_typed(error.value)


def test_a_folder_alone_means_pictures_of_ones_own():
    config, origins = resolve(data_dir="pictures")
    assert config.dataset == "folder"
    assert config == resolve(dataset="folder", data_dir="pictures")[0]
    assert origins["dataset"] == "default: `data_dir` alone means pictures of your own"
    assert resolve(dataset="cifar10", data_dir="x")[0].dataset == "cifar10"
    assert resolve()[0].dataset == "digits"


@pytest.mark.parametrize("labels", ["all", 50_000, 73_257])
def test_all_labels_are_accepted(labels):
    dataset = "svhn" if labels == 73_257 else "cifar10"
    assert resolve(dataset=dataset, labels=labels)[0].labels == labels


def test_json_round_trip_is_the_identity():
    found, origins = resolve(dataset="svhn", network="nin", seed=7, learning_rate=0.1, precision="bfloat16")
    again, again_origins = config.from_json(config.to_json(found, origins))
    assert (again, again_origins) == (found, origins)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"settings": {}, "origins": {}}', '{"settings": 3, "origins": {}}'])
def test_foreign_json_is_refused(text):
    with refused(r"config\.json"):
        config.from_json(text)


def test_a_config_file_repeats_its_run_and_flags_win(tmp_path):
    found, origins = resolve(dataset="svhn", network="nin", seed=7, gpu="cpu", name="a")
    path = tmp_path / "config.json"
    path.write_text(config.to_json(found, origins))
    found_again, _ = again(path, seed=8)
    assert found_again.identity() == {**found.identity(), "seed": 8}
    assert found_again.name != "a"
    with refused("--config"):
        config.read_settings(tmp_path / "none.json", {})
    other, _ = again(path, dataset="cifar10")
    assert (other.network, other.seed, other.zca, other.epochs) == ("nin", 7, True, 50)


def test_the_same_command_has_the_same_name_and_another_one_another():
    names = [resolve(**given)[0].name for given in ({}, {"seed": 0}, {"seed": 1}, {"epochs": 3}, {"epochs": 4})]
    assert names[0] == names[1] == "digits-50-mini-sesemi-seed0"
    assert len(set(names[1:])) == 4
    assert resolve(gpu="cpu", quiet=True, output="x")[0].name == names[0]


def test_every_setting_has_a_whole_sentence_a_flag_and_an_origin():
    fields = {field.name for field in dataclasses.fields(config.RunConfig)}
    assert set(SETTINGS) == fields == {name for name in resolve()[1] if "." not in name}
    for setting in SETTINGS.values():
        assert setting.help[0].isupper() or setting.help.startswith("`"), setting.name
        assert setting.help.endswith(".") or setting.help.endswith("'."), setting.name
        assert "--" not in setting.help, f"{setting.name}: flags are written by commands alone"
        assert setting.section in {section.SECTION for section in SECTIONS}


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.number and not setting.choices])
def test_numbers_are_checked_at_both_ends(name):
    setting = SETTINGS[name]
    low = setting.at_least if setting.above is None else setting.above
    if name in ("labels", "worker"):
        assert not setting.range
        return
    setting.check(setting.at_most)
    (setting.check if setting.above is None else refuses(setting))(low)
    for outside in (low - 1, setting.at_most + 1, float("nan") if float in setting.kinds else True, "x", []):
        refuses(setting)(outside)


def refuses(setting):
    def check(value):
        with refused(f"^--{setting.name.replace('_', '-')} "):
            setting.check(value)

    return check


def test_the_file_has_sections_and_one_without_them_is_read_too():
    found, origins = resolve(dataset="svhn", seed=3, arguments={"rotation_weight": 2.0})
    document = json.loads(config.to_json(found, origins))
    assert set(document["settings"]) == {section.SECTION for section in SECTIONS}
    assert document["settings"]["optimization"]["seed"] == 3
    # As version 0.1 wrote it.
    document["settings"] = {name: value for part in document["settings"].values() for name, value in part.items()}
    assert config.from_json(json.dumps(document)) == (found, origins)


def test_a_section_knows_only_its_own_settings():
    assert set(settings_of(ViewSettings)) == {name for name, setting in SETTINGS.items() if setting.section == "views"}
    assert isinstance(resolve()[0], ViewSettings)


def test_every_preset_is_valid():
    for method in registry.METHODS:
        for dataset in registry.DATASETS:
            for network in registry.NETWORKS:
                found, origins = resolve(method=method, dataset=dataset, network=network)
                assert json.loads(config.to_json(found, origins))["settings"]["data"]["dataset"] == dataset


@pytest.mark.parametrize(
    ("method", "network", "epochs", "batch_size", "optimizer", "learning_rate"),
    [
        ("pi_model", "cnn13", 400, 100, "sgd", 0.1),
        ("mean_teacher", "cnn13", 400, 100, "sgd", 0.1),
        ("mixmatch", "wrn28_2", 128, 64, "adam", 0.002),
        ("sesemi", "wrn", 50, 16, "sgd", 0.05),
    ],
)
def test_presets_on_cifar10_are_those_of_the_source(method, network, epochs, batch_size, optimizer, learning_rate):
    found, origins = resolve(method=method, dataset="cifar10")
    assert (found.network, found.epochs, found.batch_size) == (network, epochs, batch_size)
    assert (found.optimizer, found.learning_rate) == (optimizer, learning_rate)
    assert origins["epochs"].startswith("paper: ")


def test_arguments_of_the_method_are_settings_too(tmp_path):
    found, origins = resolve(method="mixmatch", arguments={"weight": 10})
    assert found.arguments == {"weight": 10}
    assert origins["arguments.weight"] == "user"
    assert found.name != resolve(method="mixmatch")[0].name
    path = tmp_path / "config.json"
    path.write_text(config.to_json(found, origins))
    assert config.read_settings(path, {})[0]["arguments"] == {"weight": 10}
    assert config.read_settings(path, {"network": "wrn"})[0]["arguments"] == {"weight": 10}
    assert config.read_settings(path, {"method": "vat"})[0]["arguments"] == {}


def test_promotion_begins_at_half_of_the_run_unless_told():
    found, _ = resolve(promote="threshold", epochs=60)
    assert (found.promote_from, found.promote_every) == (30, 3)
    assert resolve(promote="threshold", promote_from=7)[0].promote_from == 7


def again(path, **given):
    """As the command line does with ``--config``."""
    base, inherited = config.read_settings(path, given)
    both = base.get("arguments", {}) | given.get("arguments", {})
    return config.resolve({**base, **given, "arguments": both}, inherited)


def test_flags_beside_a_config_file_make_what_followed_from_others_obsolete(tmp_path):
    path = tmp_path / "config.json"

    def write(**given):
        path.write_text(config.to_json(*resolve(**given)))

    write(method="vat", self_supervision="rotation", arguments={"rotation_weight": 0.5, "epsilon": 3.0})
    assert again(path, self_supervision="none")[0].arguments == {"epsilon": 3.0}
    write(labels_from="x")
    assert (again(path, labels=100)[0].labels, again(path, labels=100)[0].labels_from) == (100, None)
    assert again(path)[0].labels == "file"
    write(labels=100)
    assert again(path, labels_from="y")[0].labels == "file"
    write(promote="balanced", epochs=40)
    assert again(path, epochs=10)[0].promote_from == 5
    # Origins stay what they were, so that a second change of method knows what was a preset.
    write(method="mixmatch", dataset="cifar10", seed=3)
    found, origins = again(path, seed=4)
    assert origins["learning_rate"].startswith("paper")
    assert origins["seed"] == "user"
    path.write_text(config.to_json(found, origins))
    assert again(path, method="sesemi", network="wrn")[0].learning_rate == 0.05


def test_labels_per_class_are_labels():
    found, origins = resolve(dataset="cifar100", labels_per_class=4)
    assert (found.labels, origins["labels"]) == (400, "user")
    assert found.name == resolve(dataset="cifar100", labels=400)[0].name
    assert resolve(labels_per_class=2)[0].labels == 20


def test_fixmatch_has_the_settings_of_its_paper():
    found, origins = resolve(method="fixmatch", dataset="cifar10")
    assert found.epochs * found.steps_per_epoch == 2**20
    assert (found.batch_size, found.labeled_batch_size, found.network) == (7 * 64, 64, "wrn28_2")
    assert (found.learning_rate, found.momentum, found.schedule, found.l2) == (0.03, 0.9, "cosine_7_16", 2.5e-4)
    assert (found.shift, found.noise, found.zca, found.joint_forward, found.strong_level) == (
        4,
        0.0,
        False,
        True,
        "random",
    )
    assert origins["learning_rate"].startswith("paper")
    assert origins["strong_operations"].startswith("paper")
    assert resolve(method="dst", dataset="cifar10")[1]["learning_rate"].startswith("default")


def test_fixmatch_decays_more_on_cifar100():
    """1e-3 in PyTorch's convention."""
    assert resolve(method="fixmatch", dataset="cifar100")[0].l2 == 5e-4


def test_methods_of_google_and_usb_train_their_own_wide_networks():
    assert resolve(method="fixmatch", dataset="cifar100")[0].network == "wrn28_8"
    assert resolve(method="flexmatch", dataset="svhn")[0].network == "wrn28_2"
    assert resolve(method="fixmatch", dataset="digits")[0].network == "mini"


def test_svhn_caps_the_thresholds_of_freematch():
    assert resolve(method="freematch", dataset="svhn")[0].arguments == {"highest_threshold": 0.95}
    assert resolve(method="freematch", dataset="cifar10")[0].arguments == {}


def test_own_pictures_have_the_method_that_was_best_and_a_network_for_the_machine(monkeypatch):
    from sesemi.config import presets

    for dataset in ("folder", "tfds:beans"):
        given = {"dataset": dataset, "data_dir": "pictures"}
        monkeypatch.setattr(presets, "has_gpu", lambda gpu: False)
        assert [getattr(resolve(**given)[0], name) for name in ("method", "network")] == ["flexmatch", "mini"]
        assert resolve(**given, network="wrn")[0].network == "wrn"
        monkeypatch.setattr(presets, "has_gpu", lambda gpu: gpu != "cpu")
        assert resolve(**given)[0].network == "wrn28_2"
        assert resolve(**given, gpu="cpu")[0].network == "mini"
        assert resolve(**given, method="sesemi")[0].network == "wrn"
    # The command of 2019 is the same on every machine.
    monkeypatch.setattr(presets, "has_gpu", lambda gpu: False)
    assert [getattr(resolve(dataset="cifar10")[0], name) for name in ("method", "network")] == ["sesemi", "wrn"]


def test_a_gpu_is_looked_for_without_tensorflow(tmp_path, monkeypatch):
    from sesemi.config import machine

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "_DRIVERS", (tmp_path / "other", tmp_path / "version"))
    assert not machine.has_gpu()
    (tmp_path / "version").touch()
    assert machine.has_gpu()
    assert machine.has_gpu("1")
    assert not machine.has_gpu("cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not machine.has_gpu()
    assert machine.has_gpu("0")


def origins_of(method, dataset, monkeypatch):
    own = registry.DatasetFacts(classes=3, train=90, labels=9, flip=True, zca=False, epochs=5, source="My paper 2030")
    monkeypatch.setitem(registry.DATASETS, "mine", own)
    found = presets.settings(method, dataset, "mini")
    return {name: sources.origin(preset.source) for name, preset in found.items()}


@pytest.mark.parametrize(("method", "dataset"), [("mine", "cifar10"), ("sesemi", "mine"), ("fixmatch", "mine")])
def test_what_somebody_adds_is_in_no_paper(method, dataset, monkeypatch):
    origins = origins_of(method, dataset, monkeypatch)
    of_strong_views = {name for name, origin in origins.items() if "RandAugment" in origin}
    assert not [name for name, origin in origins.items() if origin.startswith("paper") and name not in of_strong_views]
    assert origins["momentum"] == "default: as Tran 2019, who had neither this method nor these data"
    if dataset == "mine":
        own = f"as elsewhere: {sources.USB}" if method == "fixmatch" else "My paper 2030"
        assert origins["epochs"] == f"default: {own}"


def test_what_is_in_a_paper_says_so(monkeypatch):
    assert origins_of("sesemi", "cifar10", monkeypatch)["momentum"] == "paper: " + sources.PAPER
    assert origins_of("fixmatch", "svhn", monkeypatch)["epochs"] == "paper: " + sources.USB


def test_the_weight_of_laine_and_aila_follows_the_labels_on_small_sets():
    for dataset in ({"dataset": "digits"}, {"dataset": "folder", "data_dir": "x"}):
        found, origins = resolve(method="pi_model", **dataset)
        assert found.arguments == {"weight": 100.0, "by_labels": True}
        assert origins["arguments.weight"].startswith("paper: Laine & Aila 2017")
    assert resolve(method="pi_model", dataset="cifar10")[0].arguments == {}


def test_few_labels_are_not_drowned_on_digits():
    """Each default of the source was worse than supervised with 20 labels; docs/results.md has the measurement."""
    assert resolve(method="pseudo_label")[0].arguments == {"threshold": 0.95}
    assert resolve(method="pseudo_label", dataset="folder", data_dir="x")[0].arguments == {"threshold": 0.95}
    assert resolve(method="vat")[0].arguments == {"epsilon": 4.0}
    assert resolve(method="vat", dataset="folder", data_dir="x")[0].arguments == {}
    assert resolve(method="pseudo_label", dataset="cifar10")[0].arguments == {}
