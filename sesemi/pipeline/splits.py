"""Choice of the images that keep their labels: a function of (labels, count, seed) alone, the same for every method."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sesemi.config.checks import check_label_count
from sesemi.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into the training images, each sorted.

    Args:
        labeled: Images whose labels are used for training.
        validation: Labeled images held out to select an epoch; in no pool.
        unlabeled: Images that the unlabeled branch draws from.
    """

    labeled: np.ndarray
    validation: np.ndarray
    unlabeled: np.ndarray

    @property
    def digest(self) -> str:
        """SHA-256 of the three lists, to compare runs by."""
        return hashlib.sha256(json.dumps(self._lists()).encode()).hexdigest()

    def _lists(self) -> dict[str, list[int]]:
        return {name: getattr(self, name).tolist() for name in ("labeled", "validation", "unlabeled")}

    def to_json(self) -> str:
        """Return the text of ``split.json``. Of the unlabeled pool it has only the size; the hash covers its list."""
        lists = self._lists()
        return json.dumps(
            {
                "sha256": self.digest,
                "labeled": lists["labeled"],
                "validation": lists["validation"],
                "unlabeled_count": len(self.unlabeled),
            }
        )


def split(
    labels: np.ndarray,
    count: int | str,
    seed: int,
    *,
    classes: Sequence[str],
    validation: float = 0.0,
    exclude_labeled: bool = False,
    chosen: tuple[np.ndarray, np.ndarray] | None = None,
    given_validation: np.ndarray | None = None,
    extra: int = 0,
) -> Split:
    """Choose the labeled images, the same number of each class.

    Args:
        labels: ``[N]`` int, labels of all training images; -1 where there is none.
        count: Number of labeled images, a multiple of the number of classes. The number of those that could be labeled,
            or ``"all"``, takes all.
        seed: Seed of the random choice.
        classes: Names of the classes; each must occur.
        validation: Fraction of the labeled images of every class to hold out; at least one is held out and one is left.
        exclude_labeled: True leaves the labeled images out of the unlabeled pool.
        chosen: Labeled and validation indices that somebody else chose. Then `count` does not matter, and validation
            images are held out of the labeled ones only if there are none yet.
        given_validation: Indices of images that are for validation and nothing else.
        extra: Number of images, the last ones, that are in a pool of their own.

    Returns:
        The split. Validation images are in no pool.

    Raises:
        InputError: If the count cannot be split evenly, a class has too few images, or nothing is left.
    """
    rng = np.random.default_rng([seed, 0x5E5E])
    if given_validation is not None and len(given_validation):
        if validation:
            raise InputError("the data have validation images already", setting="validation", cure="leave it out")
        if chosen and len(chosen[1]) and not np.array_equal(chosen[1], np.sort(given_validation)):
            raise InputError(
                "its validation images are not those that the data have", setting="labels_from", cure="leave them out"
            )
        labels = labels.copy()
        labels[given_validation] = -1
        if chosen:
            chosen = (chosen[0], given_validation)
    pools = _chosen_pools(labels, chosen, classes) if chosen else _balanced_pools(labels, count, classes, rng, extra)
    fraction = 0.0 if chosen and len(chosen[1]) else validation
    aside = [_held_out(name, len(members), fraction) for name, members in zip(classes, pools, strict=True)]
    held_out = [members[:number] for members, number in zip(pools, aside, strict=True)]
    labeled = [members[number:] for members, number in zip(pools, aside, strict=True)]
    if chosen:
        held_out.append(chosen[1])
    elif given_validation is not None:
        held_out.append(given_validation)
    labeled, held_out = (np.sort(np.concatenate(parts)) for parts in (labeled, held_out))
    left_out = np.concatenate([held_out, labeled if exclude_labeled else labeled[:0]])
    unlabeled = np.setdiff1d(np.arange(len(labels) - extra), left_out)
    if not len(unlabeled):
        raise InputError(
            f"no image is left for the unlabeled pool with `labels={count}`", setting="exclude_labeled", value=True
        )
    return Split(labeled, held_out, unlabeled)


def _balanced_pools(labels: np.ndarray, count: int | str, classes: Sequence[str], rng, extra: int) -> list[np.ndarray]:
    there = int((labels >= 0).sum())
    everything = there if count == "all" else count
    check_label_count(everything, len(classes), there, len(labels) - there - extra)
    each = None if everything == there else everything // len(classes)
    pools = []
    for label, name in enumerate(classes):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < (each or 1):
            raise InputError(
                f"class {name} has only {len(members)} images, {each or 1} are needed", setting="labels", value=count
            )
        pools.append(members[:each])
    return pools


def _chosen_pools(
    labels: np.ndarray, chosen: tuple[np.ndarray, np.ndarray], classes: Sequence[str]
) -> list[np.ndarray]:
    for index in chosen[0][labels[chosen[0]] < 0][:1]:
        raise InputError(
            f"image {index} has no label in the data, or is for validation", setting="labels_from", cure="leave it out"
        )
    pools = [chosen[0][labels[chosen[0]] == label] for label in range(len(classes))]
    for name, members in zip(classes, pools, strict=True):
        if not len(members):
            raise InputError(
                f"there is no labeled image of class {name}", setting="labels_from", cure="every class needs one"
            )
    return pools


def _held_out(name: str, members: int, fraction: float) -> int:
    if not fraction:
        return 0
    if members < 2:
        raise InputError(
            f"class {name} has one labeled image and has none to spare",
            setting="validation",
            value=fraction,
            cure="use more `labels`",
        )
    return min(max(round(members * fraction), 1), members - 1)
