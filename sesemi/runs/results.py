"""What a run leaves when it ends: the exported model, its errors, predictions, pictures and the report."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sesemi.assembly.build import Materials, augmentation
from sesemi.config.run_config import Origins
from sesemi.inference import predictions, saved
from sesemi.inference.saved import MODEL
from sesemi.report import pictures
from sesemi.runs import look
from sesemi.runs.checkpoints import write_atomically, write_whole
from sesemi.training import export
from sesemi.training.classifier import Classifier
from sesemi.training.model import SemiSupervisedModel

FILE = "results.json"
OTHER_MODEL = "model_{}.keras"
PROMOTED = "promoted.csv"
PSEUDO_LABELS = "pseudo_labels.csv"
BEST_WEIGHTS = "best.weights.h5"
BEST_MODEL = "model_best_validation.keras"
_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "matplotlib")


def versions() -> dict[str, str]:
    """Of sesemi and what it stands on."""
    from sesemi import __version__

    return {"sesemi": __version__, **{package: metadata.version(package) for package in _PACKAGES}}


def finish(materials: Materials, model: SemiSupervisedModel, origins: Origins, session) -> dict[str, Any]:
    """Export, evaluate what was exported, and write everything; ``results.json`` comes last.

    Args:
        materials: of the run.
        model: after the last step.
        origins: of the settings.
        session: what trained it, with its ``history``, ``best`` epoch, ``promotions`` and ``measurements()``.

    Returns:
        What ``results.json`` holds. Errors are those of the files on the disk, read back.
    """
    folder, rows, best = materials.config.run_dir, session.history.rows, session.best
    views = look.views_rows(materials, model)
    found = _identity(materials) | _last_epoch(materials, model) | _other_network(materials, model)
    if best:
        found["validation_error"] = rows[-1]["validation_error"]
        found |= _best_epoch(materials, model, best)
    if session.promotions.records:
        found["promotions"] = session.promotions.records
        write_atomically(folder / PROMOTED, session.promotions.to_csv(materials.data.train_labels))
    if model.monitor is not None:
        found |= _pseudo_labels(session.pseudo_labels, materials.data.class_names)
    measurements = session.measurements()
    found |= {
        "train_losses": {k: v for k, v in rows[-1].items() if k in ("loss", *model.trackers)},
        "seconds": measurements["seconds"],
        "images_per_second": measurements["timed_images"] / max(measurements["timed_seconds"], 1e-9),
        "peak_memory_mib": max(measurements["peak_memory_mib"], look.peak_memory_mib()),
        "replicas": model.distribute_strategy.num_replicas_in_sync,
        "parameters": model.classifier.count_params() - model.classifier.preprocess.count_params(),
        "split_sha256": materials.split.digest,
        "data_sha256": materials.data_digest,
        "files_sha256": materials.files_sha256,
        "versions": versions(),
    }
    _pictures(folder, found, rows, session.pseudo_labels.rows, views, materials.config, origins)
    write_atomically(folder / FILE, json.dumps(found, indent=2) + "\n")
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
        "steps": config.total_steps,
        "class_names": list(materials.data.class_names),
        "notes": list(materials.data.notes),
    }


def _last_epoch(materials: Materials, model: SemiSupervisedModel) -> dict[str, Any]:
    """Export, and the errors of what was exported with one view and with several; writes ``predictions.npz``."""
    config, data, folder = materials.config, materials.data, materials.config.run_dir
    name, network = next(iter(model.networks_by_name.items()))
    exported = _export(network, folder / MODEL, materials)
    probs = predictions.probabilities(predictions.Compiled(exported), data.test_images)
    matrix = predictions.confusion(probs, data.test_labels)
    saved = {"probabilities": probs, "labels": data.test_labels}
    found = {
        "evaluated": name,
        "test_error": predictions.error_percent(probs, data.test_labels),
        "test_error_views": None,
        "class_errors": predictions.class_errors_percent(matrix),
        "confusion_matrix": matrix.tolist(),
    }
    if config.views > 1:
        averaged = predictions.multi_view_probabilities(exported, data.test_images, augmentation(config))
        saved["probabilities_views"] = averaged
        found["test_error_views"] = predictions.error_percent(averaged, data.test_labels)
        found["views"] = 8 if config.flip else 4
    write_whole(folder / "predictions.npz", lambda path: np.savez_compressed(path, **saved))
    return found


def _other_network(materials: Materials, model: SemiSupervisedModel) -> dict[str, float]:
    """The student beside its teacher, or the teacher beside its student: exported too, with its error."""
    found = {}
    for name, network in list(model.networks_by_name.items())[1:]:
        exported = _export(network, materials.config.run_dir / OTHER_MODEL.format(name), materials)
        probs = predictions.probabilities(predictions.Compiled(exported), materials.data.test_images)
        found[f"{name}_test_error"] = predictions.error_percent(probs, materials.data.test_labels)
    return found


def _export(network: Classifier, path: Path, materials: Materials) -> keras.Model:
    """Write model and sidecar, and read the model back."""
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
    folder, data = materials.config.run_dir, materials.data
    network, *_ = model.networks_by_name.values()
    network.load_weights(folder / BEST_WEIGHTS)
    exported = _export(network, folder / BEST_MODEL, materials)
    probs = predictions.probabilities(predictions.Compiled(exported), data.test_images)
    return {
        "best_epoch": best["epoch"],
        "best_validation_error": best["error"],
        "test_error_at_best_validation": predictions.error_percent(probs, data.test_labels),
    }


def _pseudo_labels(log, class_names) -> dict[str, Any]:
    """Of the last epoch: how many were accepted and right, and counts by class; and the warning, if there was one."""
    last = log.rows[-1]
    known = sum(last["known"])
    found = {
        "mask_ratio": sum(last["accepted"]) / max(last["shown"], 1),
        "pseudo_label_accuracy": sum(last["right"]) / known if known else None,
        "accepted_pseudo_labels": dict(zip(class_names, last["accepted"], strict=True)),
    }
    return found | ({"warning": "after epoch {}: {}".format(*log.alarm)} if log.alarm else {})


def _pictures(folder: Path, found: dict[str, Any], rows, pseudo_labels, views, config, origins: Origins) -> None:
    shown = {"Learning curves": ("curves.png", pictures.learning_curves(rows))}
    if pseudo_labels:
        png = pictures.pseudo_labels(pseudo_labels, found["class_names"])
        shown["Pseudo-labels"] = ("pseudo_labels.png", png)
    shown |= {
        "Confusion matrix": (
            "confusion.png",
            pictures.confusion_matrix(np.array(found["confusion_matrix"]), found["class_names"]),
        ),
        "What each branch sees": ("views.png", pictures.views_grid(views)),
    }
    for file, png in shown.values():
        (folder / file).write_bytes(png)
    pictures.write_html(
        folder / "report.html",
        results=found,
        settings=vars(config),
        origins=origins,
        pictures={title: png for title, (_, png) in shown.items()},
    )


def summary(found: dict[str, Any], folder: Path) -> str:
    """The last lines that a user sees."""
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
        lines.append(f"{total} images promoted{known}: {folder / PROMOTED}")
    if "best_epoch" in found:
        lines.append(
            f"test error {found['test_error_at_best_validation']:.2f} % (epoch {found['best_epoch']}, "
            f"the best by validation)"
        )
    if found.get("warning"):
        lines.append(f"warning: {found['warning']}")
    lines.append(f"report: {folder / 'report.html'}   classifier: {folder / MODEL}")
    return "\n".join(lines)
