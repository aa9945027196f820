"""Results of a run at its end: the exported model, its errors, predictions, pictures and the report."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sesemi.assembly.build import augmentation
from sesemi.assembly.materials import Materials
from sesemi.assembly.plan import peak_memory_mib
from sesemi.assembly.preview import views_rows
from sesemi.config import Origins, RunConfig
from sesemi.files import write
from sesemi.inference import metrics, predictions, saved
from sesemi.report import page, pictures
from sesemi.runs.environment import versions
from sesemi.runs.folder import RunFolder
from sesemi.training import export
from sesemi.training.classifier import Classifier
from sesemi.training.model import SemiSupervisedModel


def finish(materials: Materials, model: SemiSupervisedModel, origins: Origins, session) -> dict[str, Any]:
    """Export the model, evaluate what was exported, and write everything. ``results.json`` is written last.

    Args:
        materials: Materials of the run.
        model: Model after the last step.
        origins: Origins of the settings.
        session: Session that trained it, with its ``history``, ``best`` epoch, ``promotions`` and ``measurements()``.

    Returns:
        Content of ``results.json``. Errors are those of the files on the disk, read back.
    """
    folder, rows, best = RunFolder(materials.config.run_dir), session.history.rows, session.best
    views = views_rows(materials, model)
    found = _identity(materials) | _last_epoch(materials, model) | _other_network(materials, model)
    if best:
        found["validation_error"] = rows[-1]["validation_error"]
        found |= _best_epoch(materials, model, best)
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
        **materials.files,
        "versions": versions(),
    }
    _pictures(folder, found, rows, session.pseudo_labels.rows, views, materials.recorded, origins)
    write(folder.results_file, json.dumps(found, indent=2) + "\n")
    return found


def _identity(materials: Materials) -> dict[str, Any]:
    config, split = materials.config, materials.split
    return {
        "method": config.method,
        "network": config.network,
        "dataset": config.dataset,
        "labels": len(split.labeled) + len(split.validation),
        "seed": config.seed,
        "epochs": config.epochs,
        "steps": materials.total_steps,
        "class_names": list(materials.data.class_names),
        "notes": list(materials.data.notes),
    }


def _last_epoch(materials: Materials, model: SemiSupervisedModel) -> dict[str, Any]:
    """Export the model, write ``predictions.npz``, and return the errors with one view and with several."""
    config, data, folder = materials.config, materials.data, RunFolder(materials.config.run_dir)
    name, network = next(iter(model.networks_by_name.items()))
    exported = _export(network, folder.model, materials)
    probs = predictions.probabilities(predictions.Compiled(exported), data.test_images)
    matrix = metrics.confusion(probs, data.test_labels)
    arrays = {"probabilities": probs, "labels": data.test_labels}
    found = {
        "evaluated": name,
        "test_error": metrics.error_percent(probs, data.test_labels),
        "test_error_views": None,
        "class_errors": metrics.class_errors_percent(matrix),
        "confusion_matrix": matrix.tolist(),
    }
    if config.views > 1:
        averaged = predictions.multi_view_probabilities(exported, data.test_images, augmentation(config))
        arrays["probabilities_views"] = averaged
        found["test_error_views"] = metrics.error_percent(averaged, data.test_labels)
        found["views"] = 8 if config.flip else 4
    write(folder.predictions, lambda path: np.savez_compressed(path, **arrays))
    return found


def _other_network(materials: Materials, model: SemiSupervisedModel) -> dict[str, float]:
    """Export the student beside its teacher, or the teacher beside its student, and return its error."""
    found = {}
    for name, network in list(model.networks_by_name.items())[1:]:
        exported = _export(network, RunFolder(materials.config.run_dir).other_model(name), materials)
        probs = predictions.probabilities(predictions.Compiled(exported), materials.data.test_images)
        found[f"{name}_test_error"] = metrics.error_percent(probs, materials.data.test_labels)
    return found


def _export(network: Classifier, path: Path, materials: Materials) -> keras.Model:
    """Write a model and its sidecar, and read the model back."""
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
    return keras.models.load_model(path)


def _best_epoch(materials: Materials, model: SemiSupervisedModel, best: dict[str, float]) -> dict[str, Any]:
    folder, data = RunFolder(materials.config.run_dir), materials.data
    network, *_ = model.networks_by_name.values()
    network.load_weights(folder.best_weights)
    exported = _export(network, folder.best_model, materials)
    probs = predictions.probabilities(predictions.Compiled(exported), data.test_images)
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
    folder: RunFolder, found: dict[str, Any], rows, pseudo_labels, views, config: RunConfig, origins: Origins
) -> None:
    shown = {"Learning curves": ("curves.png", pictures.learning_curves(rows))}
    if pseudo_labels:
        png = pictures.pseudo_labels(pseudo_labels, found["class_names"])
        shown["Pseudo-labels"] = ("pseudo_labels.png", png)
    matrix = pictures.confusion_matrix(np.array(found["confusion_matrix"]), found["class_names"])
    shown["Confusion matrix"] = ("confusion.png", matrix)
    shown["What each branch sees"] = ("views.png", pictures.views_grid(views))
    for file, png in shown.values():
        write(folder.path / file, png)
    text = page.html_page(
        results=found,
        settings=config.values(),
        origins=origins,
        pictures={title: png for title, (_, png) in shown.items()},
    )
    # A path may hold bytes that are no text.
    write(folder.report, text.encode("utf-8", "backslashreplace"))


def summary(found: dict[str, Any], folder: RunFolder) -> str:
    """Return the last lines that a user sees."""
    lines = [f"test error {found['test_error']:.2f} % (one view, last epoch)"]
    if found["test_error_views"] is not None:
        lines.append(f"test error {found['test_error_views']:.2f} % (mean of {found['views']} views)")
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
    if "best_epoch" in found:
        lines.append(
            f"test error {found['test_error_at_best_validation']:.2f} % (epoch {found['best_epoch']}, "
            f"the best by validation)"
        )
    if found.get("warning"):
        lines.append(f"warning: {found['warning']}")
    lines.append(f"report: {folder.report}   classifier: {folder.model}")
    return "\n".join(lines)
