"""Preview of a run: titles and pictures of what each branch sees."""

import numpy as np

from sesemi.assembly.build import batches
from sesemi.assembly.materials import Materials
from sesemi.primitives import rng, rotation
from sesemi.training.model import SemiSupervisedModel

_SHOWN = 8


def views_rows(materials: Materials, model: SemiSupervisedModel) -> list[tuple]:
    """Return for each branch of the first step its title and pictures, and of labeled images their classes too."""
    batch = model.pixels(next(iter(batches(materials, 0, 1))))
    views = model.views(batch, rng.Draws(model.seed, 0))
    classes = np.asarray(batch["labels"][:_SHOWN]).tolist()
    rows = [
        ("labeled images, raw", np.asarray(batch["labeled"][:_SHOWN]), classes),
        ("labeled images as the class head sees them", np.asarray(views.labeled[:_SHOWN])),
    ]
    for kind, images in zip(model.method.views.also_labeled, views.also_labeled, strict=True):
        rows.append((f"labeled images, another view ({kind})", np.asarray(images[:_SHOWN])))
    if views.unlabeled:
        rows.append(("unlabeled images, raw", np.asarray(batch["unlabeled"][:_SHOWN])))
    for number, (kind, images) in enumerate(zip(model.method.views.unlabeled, views.unlabeled, strict=True), 1):
        if kind != "unflipped":
            rows.append((f"unlabeled images, view {number} ({kind})", np.asarray(images[:_SHOWN])))
            continue
        for i in range(min(2, len(images))):
            six = np.asarray(rotation.six_views(images[i : i + 1]))
            rows.append((f"image {i + 1} as the six-way head sees it: {', '.join(rotation.TRANSFORMS)}", six))
    return rows
