"""Results of a run at its end: the exported model, its errors, predictions, pictures and the report."""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sesemi.assembly.build import augmentation
from sesemi.assembly.materials import Materials
from sesemi.assembly.plan import peak_memory_mib
from sesemi.assembly.preview import views_rows
from sesemi.config import Origins
from sesemi.files import write
from sesemi.inference import metrics, predictions, saved
from sesemi.report import page, pictures
from sesemi.runs import alarms, weights
from sesemi.runs.environment import versions
from sesemi.runs.folder import RunFolder
from sesemi.terminal import printable
from sesemi.training import export
from sesemi.training.classifier import Classifier
from sesemi.training.model import SemiSupervisedModel

# Labeled pictures that student and teacher are compared on.
_MOST_COMPARED = 2000
_MISTAKES = 18


def finish(materials: Materials, model: SemiSupervisedModel, origins: Origins, session) -> dict[str, Any]:
    """Export the model, evaluate what was exported, and write everything. ``results.json`` is written last.

    Args:
        materials: Materials of the run.
        model: Model after the last step.
        origins: Origins of the settings.
        session: Session that trained it, with its ``history``, ``best`` epoch, ``promotions``, ``progress`` and
            ``measurements()``.

    Returns:
        Content of ``results.json``. Errors are those of the files on the disk, read back.
    """
    folder, rows, best = RunFolder(materials.config.run_dir), session.history.rows, session.best
    stage = session.progress.stage
    views = views_rows(materials, model)
    found = _identity(materials) | _last_epoch(materials, model, stage) | _other_network(materials, model, stage)
    errors, apart = _labeled_errors(materials, session)
    found |= errors
    found["warnings"] += apart
    if best:
        found["validation_error"] = rows[-1]["validation_error"]
        of_best = _best_epoch(materials, model, best, stage)
        found["warnings"] += of_best.pop("warnings", [])
        found |= of_best
    if session.promotions.records:
        found["promotions"] = session.promotions.records
        write(folder.promoted, session.promotions.to_csv(materials.data.train_labels))
    if model.monitor is not None:
        found |= _pseudo_labels(session.pseudo_labels, materials.data.class_names)
    measurements = session.measurements()
    found |= {
        "train_losses": {k: v for k, v in rows[-1].items() if k in ("loss", *model.trackers)},
        "seconds": measurements["seconds"],
        "images_per_second": measurements["timed_images"] / max(measurements["timed_seconds"], 1e-9),
        "peak_memory_mib": max(measurements["peak_memory_mib"], peak_memory_mib()),
        "replicas": model.distribute_strategy.num_replicas_in_sync,
        "parameters": model.classifier.count_params() - model.classifier.preprocess.count_params(),
        "split_sha256": materials.split.digest,
        "data_sha256": materials.data_digest,
        "test_sha256": materials.data.test_sha256(),
        **materials.files,
        "versions": versions(),
    }
    stage("drawing the report")
    _pictures(folder, found, rows, session.pseudo_labels.rows, views, materials, origins)
    write(folder.results_file, json.dumps(found, indent=2) + "\n")
    return found


def _identity(materials: Materials) -> dict[str, Any]:
    config, split = materials.config, materials.split
    return {
        "method": config.method,
        "network": config.network,
        "dataset": config.dataset,
        "labels": len(split.labeled) + len(split.validation),
        "test_images": len(materials.data.test_labels),
        "seed": config.seed,
        "epochs": config.epochs,
        "steps": materials.total_steps,
        "class_names": list(materials.data.class_names),
        "notes": list(materials.data.notes),
        "warnings": alarms.of_data(materials),
    }


def _last_epoch(materials: Materials, model: SemiSupervisedModel, stage) -> dict[str, Any]:
    """Export the model, write ``predictions.npz``, and return the errors with one view and with several."""
    config, data, folder = materials.config, materials.data, RunFolder(materials.config.run_dir)
    name, network = next(iter(model.networks_by_name.items()))
    exported = _export(network, folder.model, materials, stage)
    probs = predictions.probabilities(predictions.Compiled(exported), data.test_images, stage("evaluating"))
    matrix = metrics.confusion(probs, data.test_labels)
    arrays = {"probabilities": probs, "labels": data.test_labels}
    found = {
        "evaluated": name,
        "test_error": metrics.error_percent(probs, data.test_labels),
        "test_error_interval": metrics.wilson_percent(int(matrix.sum() - np.trace(matrix)), int(matrix.sum())),
        "test_error_views": None,
        "class_errors": metrics.class_errors_percent(matrix),
        "confusion_matrix": matrix.tolist(),
    }
    if config.views > 1:
        found["views"] = 8 if config.flip else 4
        show = stage(f"evaluating the mean of {found['views']} views")
        averaged = predictions.multi_view_probabilities(exported, data.test_images, augmentation(config), show)
        arrays["probabilities_views"] = averaged
        found["test_error_views"] = metrics.error_percent(averaged, data.test_labels)
    write(folder.predictions, lambda path: np.savez_compressed(path, **arrays))
    return found


def _other_network(materials: Materials, model: SemiSupervisedModel, stage) -> dict[str, float]:
    """Export the student beside its teacher, or the teacher beside its student, and return its error."""
    found = {}
    for name, network in list(model.networks_by_name.items())[1:]:
        exported = _export(network, RunFolder(materials.config.run_dir).other_model(name), materials, stage)
        show = stage(f"evaluating the {name}")
        probs = predictions.probabilities(predictions.Compiled(exported), materials.data.test_images, show)
        found[f"{name}_test_error"] = metrics.error_percent(probs, materials.data.test_labels)
    return found


def _labeled_errors(materials: Materials, session) -> tuple[dict[str, float], list[str]]:
    """Return the errors of both networks on labeled pictures, and a warning if the exported one is far behind."""
    if len(session.classify) < 2:
        return {}, []
    index, data = materials.split.labeled[:_MOST_COMPARED], materials.data
    images, labels = predictions.Rows(data.train_images, index), data.train_labels[index]
    errors = {
        name: metrics.error_percent(predictions.probabilities(classify, images), labels)
        for name, classify in session.classify.items()
    }
    warning = alarms.networks_apart(errors, len(index))
    return {f"{name}_labeled_error": error for name, error in errors.items()}, [warning] if warning else []


def _export(network: Classifier, path: Path, materials: Materials, stage) -> keras.Model:
    """Write a model and its sidecar, and read the model back."""
    written = stage(f"exporting {path.name}")
    config = materials.config
    saved.write_sidecar(
        path,
        sesemi=versions()["sesemi"],
        class_names=list(materials.data.class_names),
        image_shape=list(network.image_shape),
        resize=config.resize,
        shift=config.shift,
        flip=config.flip,
        noise=config.noise,
        **{name: getattr(config, name) for name in ("method", "network", "dataset", "labels", "seed")},
    )
    export.save(export.build(network), path)
    written(1, 2)
    return keras.models.load_model(path)


def _best_weights(path: Path, best: dict[str, Any]) -> bytes | None:
    """Return the weights of the best epoch; None if the file is gone or is not the one that epoch wrote.

    After a kill it may be that of a later epoch, which a machine that does not repeat itself to the bit did not find as
    good again. The rest of the run is worth as much without it.
    """
    content = path.read_bytes() if path.is_file() else b""
    return content if weights.digest(content) == best["sha256"] else None


def _best_epoch(materials: Materials, model: SemiSupervisedModel, best: dict[str, Any], stage) -> dict[str, Any]:
    folder, data = RunFolder(materials.config.run_dir), materials.data
    network, *_ = model.networks_by_name.values()
    content = _best_weights(folder.best_weights, best)
    if content is None:
        return {"warnings": [f"the weights of epoch {best['epoch']}, the best by validation, are lost or damaged"]}
    weights.assign(content, network.variables)
    exported = _export(network, folder.best_model, materials, stage)
    show = stage("evaluating the best epoch")
    probs = predictions.probabilities(predictions.Compiled(exported), data.test_images, show)
    return {
        "best_epoch": best["epoch"],
        "best_validation_error": best["error"],
        "test_error_at_best_validation": metrics.error_percent(probs, data.test_labels),
    }


def _pseudo_labels(log, class_names) -> dict[str, Any]:
    """Return the shares of accepted and of right pseudo-labels of the last epoch, counts by class, and any warning."""
    last = log.rows[-1]
    known = sum(last["known"])
    found = {
        "mask_ratio": sum(last["accepted"]) / max(last["shown"], 1),
        "pseudo_label_accuracy": sum(last["right"]) / known if known else None,
        "accepted_pseudo_labels": dict(zip(class_names, last["accepted"], strict=True)),
    }
    return found | ({"warning": "after epoch {}: {}".format(*log.alarm)} if log.alarm else {})


def _pictures(
    folder: RunFolder, found: dict[str, Any], rows, pseudo_labels, views, materials: Materials, origins: Origins
) -> None:
    shown = {}
    if (png := _mistakes(folder, materials)) is not None:
        shown["Most confident mistakes"] = ("mistakes.png", png)
    shown["Learning curves"] = ("curves.png", pictures.learning_curves(rows))
    if pseudo_labels:
        png = pictures.pseudo_labels(pseudo_labels, found["class_names"])
        shown["Pseudo-labels"] = ("pseudo_labels.png", png)
    matrix = pictures.confusion_matrix(np.array(found["confusion_matrix"]), found["class_names"])
    shown["Confusion matrix"] = ("confusion.png", matrix)
    shown["What each branch sees"] = ("views.png", pictures.views_grid(views, found["class_names"]))
    for file, png in shown.values():
        write(folder.path / file, png)
    text = page.html_page(
        results=found,
        settings=materials.recorded.values(),
        origins=origins,
        made=_made(folder),
        pictures={title: png for title, (_, png) in shown.items()},
    )
    # A path may hold bytes that are no text.
    write(folder.report, text.encode("utf-8", "backslashreplace"))


def _mistakes(folder: RunFolder, materials: Materials) -> bytes | None:
    """Draw the test images that were most confidently taken for another class; None if there are none."""
    with np.load(folder.predictions) as arrays:
        probs, labels = arrays["probabilities"], arrays["labels"]
    said, sure = probs.argmax(1), probs.max(1)
    wrong = np.flatnonzero(said != labels)
    if not len(wrong):
        return None
    worst = wrong[np.argsort(-sure[wrong], kind="stable")[:_MISTAKES]]
    # Images that are read from their files come in the order of their numbers.
    images = materials.data.test_images[np.sort(worst)][np.argsort(np.argsort(worst))]
    return pictures.mistakes(images, labels[worst], said[worst], sure[worst], materials.data.class_names)


def _made(folder: RunFolder) -> dict[str, str]:
    """Return the command, the date and the versions, for the page."""
    known = json.loads(folder.environment_file.read_text(encoding="utf-8")) if folder.environment_file.exists() else {}
    return {
        "command": shlex.join(map(str, known.get("command", sys.argv))),
        "finished": time.strftime("%Y-%m-%d %H:%M %Z"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


def summary(found: dict[str, Any], folder: RunFolder) -> str:
    """Return the last lines that a user sees."""
    lines = [f"test error {found['test_error']:.2f} % (one view, last epoch)"]
    if found.get("test_error_interval") is not None:
        low, high = found["test_error_interval"]
        lines[0] += f"; {found['test_images']:,} test pictures, so between {low:.1f} and {high:.1f} % (95 %)"
    if found.get("test_error_views") is not None:
        lines.append(f"test error {found['test_error_views']:.2f} % (mean of {found.get('views', 'several')} views)")
    for name in ("student", "teacher"):
        if f"{name}_test_error" in found:
            lines.append(
                f"test error {found[f'{name}_test_error']:.2f} % (the {name}, which is not what the paper takes)"
            )
    if "promotions" in found:
        total = sum(record["promoted"] for record in found["promotions"])
        right = [record["right"] for record in found["promotions"]]
        known = f", {sum(right)} of them rightly" if None not in right else ""
        lines.append(f"{total} images promoted{known}: {folder.promoted}")
    if "best_epoch" in found and "test_error_at_best_validation" in found:
        lines.append(
            f"test error {found['test_error_at_best_validation']:.2f} % (epoch {found['best_epoch']}, "
            f"the best by validation)"
        )
    lines += [f"warning: {printable(text)}" for text in page.warnings_of(found)]
    lines.append(f"report: {folder.report}   classifier: {folder.model}")
    return "\n".join(lines)
