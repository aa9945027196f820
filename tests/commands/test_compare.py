import json

import pytest

from sesemi import config
from sesemi.commands import compare

ERRORS = {"supervised": [20.0, 16.0, 18.0], "mean_teacher": [7.0, 8.0, 6.0]}


def make(folder, method, seed, error, *, split=None, data="d", test="t", labels=50, **given):
    folder.mkdir(parents=True)
    resolved, origins = config.resolve({"method": method, "seed": seed, **given})
    resolved = resolved.replace(steps_per_epoch=62)
    (folder / "config.json").write_text(config.to_json(resolved, origins))
    results = {"test_error": error, "steps": 1860, "split_sha256": split or f"split{seed}", "data_sha256": data}
    results |= {"test_sha256": test, "labels": labels, "test_images": 797}
    if method == "mean_teacher":
        results["student_test_error"] = error + 1
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    return [
        make(tmp_path / f"{method}{seed}", method, seed, error)
        for method, errors in ERRORS.items()
        for seed, error in enumerate(errors)
    ]


def test_a_table_of_means_deviations_and_paired_gains(runs, tmp_path, capsys):
    assert compare.main([*runs, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("|")]
    assert lines[2] == ["mean_teacher", "3", "50", "1860", "7.00 ± 1.00", "", "8.00 ± 1.00", "+11.00 ± 2.65"]
    assert lines[3] == ["supervised", "3", "50", "1860", "18.00 ± 2.00", "", "", ""]
    assert (tmp_path / "out" / "comparison.md").read_text() in out
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_groups_of_one_method_are_told_apart_by_what_differs(runs, tmp_path, capsys):
    other = make(tmp_path / "other", "mean_teacher", 0, 9.0, arguments={"weight": 10})
    assert compare.main([runs[0], runs[3], other, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "| mean_teacher weight=10 |" in out


def test_30_and_30_point_0_are_not_taken_for_one_another(runs, tmp_path, capsys):
    whole = make(tmp_path / "whole", "mean_teacher", 0, 9.0, arguments={"weight": 30})
    point = make(tmp_path / "point", "mean_teacher", 0, 8.0, arguments={"weight": 30.0})
    assert compare.main([whole, point, "--output", str(tmp_path / "out")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2 + 1


def test_label_files_of_each_seed_make_one_group(tmp_path, capsys):
    folders = [
        make(tmp_path / f"{method}{seed}", method, seed, 9.0, labels_from=f"{seed}.txt")
        for method in ("supervised", "vat")
        for seed in range(2)
    ]
    assert compare.main([*folders, "--output", str(tmp_path / "out")]) == 0
    assert "| vat | 2 | 50 |" in capsys.readouterr().out


def test_no_gains_over_several_kinds_of_supervised_runs(runs, tmp_path, capsys):
    other = make(tmp_path / "other", "supervised", 0, 10.0, epochs=7)
    rides = make(tmp_path / "rides", "supervised", 0, 9.0, self_supervision="rotation")
    assert compare.main([runs[0], runs[3], rides, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "+11.00" in next(line for line in out.splitlines() if "rotation" in line)
    assert compare.main([runs[0], runs[3], other, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "several kinds of supervised runs" in out
    assert "+" not in out


def titles(text):
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


@pytest.mark.parametrize("change", [{"split": "other"}, {"seed": 4}, {"split": "more", "labels": 60, "data": "other"}])
def test_other_labeled_images_make_another_table_unless_they_may_differ(runs, tmp_path, capsys, change):
    settings = {"seed": 0, **change}
    unlike = make(tmp_path / "unlike", "vat", settings.pop("seed"), 5.0, **settings)
    arguments = [runs[0], unlike, "--output", str(tmp_path / "out")]
    assert compare.main(arguments) == 0
    out = capsys.readouterr().out
    assert len(titles(out)) == 2
    assert titles(out)[0].startswith("digits, 797 test images, 50 labels")
    assert "note: 2 tables, because" in out
    assert "--different-splits puts these into one" in out
    assert (tmp_path / "out" / "comparison.md").read_text() in out
    assert compare.main([*arguments, "--different-splits"]) == 0
    out = capsys.readouterr().out
    assert titles(out) == []
    assert f"| vat | 1 | {change.get('labels', 50)} |" in out
    assert "had other labeled images" in out
    assert "+" not in out


def test_runs_on_another_test_are_never_in_one_table(runs, tmp_path, capsys):
    given = {"data": "other", "test": "other", "dataset": "folder", "data_dir": "here/pets"}
    other = make(tmp_path / "other", "supervised", 0, 5.0, **given)
    for flags in ([], ["--different-splits"]):
        assert compare.main([*runs, other, "--output", str(tmp_path / "out"), *flags]) == 0
        out = capsys.readouterr().out
        assert titles(out) == ["digits, 797 test images, 50 labels", "pets, 797 test images, 50 labels"]
        assert "+11.00 ± 2.65" in out
        assert "puts these into one" not in out


def test_tables_of_one_title_are_told_apart_by_a_run(runs, tmp_path, capsys):
    other = make(tmp_path / "other", "supervised", 0, 5.0, data="other", test="other")
    assert compare.main([runs[0], other, "--output", str(tmp_path / "out")]) == 0
    assert [title.split("such as ")[1] for title in titles(capsys.readouterr().out)] == [f"{runs[0]})", f"{other})"]


def test_runs_from_before_the_hash_of_the_test_are_compared_by_their_data(runs, tmp_path, capsys):
    for number, data in enumerate("ab"):
        make(tmp_path / data, "vat", 0, 5.0, data=data, test=None)
        folders = [str(tmp_path / d) for d in "ab"[: number + 1]]
        assert compare.main([*folders, "--output", str(tmp_path / "out"), "--different-splits"]) == 0
        assert len(titles(capsys.readouterr().out)) == 2 * number


def test_unfinished_and_repeated_runs_are_refused(runs, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert compare.main([str(tmp_path / "empty")]) == 2
    assert "no finished run (results.json is missing)" in capsys.readouterr().err
    arguments = [runs[0], str(tmp_path / "empty"), "--output", str(tmp_path / "left")]
    assert compare.main(arguments) == 0
    assert "no finished run (results.json is missing); left out" in capsys.readouterr().err
    (tmp_path / "empty" / "results.json").write_text("{")
    assert compare.main([runs[0], str(tmp_path / "empty")]) == 2
    assert "results.json: is damaged (" in capsys.readouterr().err
    assert compare.main([runs[0], runs[0]]) == 2
    assert "given twice" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        compare.main([])
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
