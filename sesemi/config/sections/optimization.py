"""Settings of the optimization: how long and how the weights are trained."""

from dataclasses import dataclass
from typing import ClassVar

from sesemi.config.setting import setting
from sesemi.config.sources import PAPER

_BY_SOURCE = "the method's source"


@dataclass(frozen=True, kw_only=True)
class OptimizationSettings:
    """Seed, length, batches, optimizer, schedule and regularization."""

    SECTION: ClassVar[str] = "optimization"

    seed: int = setting(
        "Seed of everything random: split, weights, order, views.", default=0, at_least=0, at_most=2**31 - 1, shows="N"
    )
    epochs: int = setting(
        "Number of epochs.", source=PAPER, at_least=1, at_most=10**6, shows="N", varies=_BY_SOURCE + "; 30 for digits"
    )
    steps_per_epoch: int | None = setting(
        "Number of updates an epoch.",
        source=PAPER,
        at_least=1,
        at_most=10**8,
        shows="N",
        varies="one pass over the training images, for asl over the labeled ones; 62 for digits, 200 for your own "
        "pictures",
    )
    batch_size: int = setting(
        "Number of unlabeled images a step. A self-supervised branch sees six views of each.",
        default=16,
        source=PAPER,
        at_least=1,
        at_most=10**5,
        shows="N",
        varies=_BY_SOURCE,
    )
    labeled_batch_size: int = setting(
        "Number of labeled images a step.",
        source=PAPER,
        at_least=1,
        at_most=10**6,
        shows="N",
        varies=_BY_SOURCE + "; six times `batch_size` for sesemi",
    )
    optimizer: str = setting(
        "Optimizer. sgd has Nesterov momentum.",
        choices=("sgd", "adam"),
        default="sgd",
        source=PAPER,
        varies=_BY_SOURCE,
    )
    learning_rate: float = setting(
        "Learning rate of the first step.",
        default=0.05,
        source=PAPER,
        above=0.0,
        at_most=1e6,
        shows="RATE",
        varies=_BY_SOURCE,
    )
    schedule: str = setting(
        "Schedule by which the learning rate falls over the T updates of a run: polynomial is (1 - t/T) "
        "** `learning_rate_power`, cosine is "
        "(1 + cos(pi t/T)) / 2, cosine_7_16 is cos(7 pi t/(16 T)). A method with several students goes through it once "
        "for each.",
        choices=("polynomial", "cosine", "cosine_7_16"),
        default="polynomial",
        source=PAPER,
        varies=_BY_SOURCE,
    )
    learning_rate_power: float = setting(
        "Power of the polynomial schedule. 0 keeps the rate constant.",
        default=0.5,
        source=PAPER,
        at_least=0.0,
        at_most=100.0,
        shows="POWER",
        varies=_BY_SOURCE,
    )
    momentum: float = setting(
        "Nesterov momentum of sgd, or beta_1 of adam.",
        default=0.9,
        source=PAPER,
        at_least=0.0,
        at_most=1.0,
    )
    l2: float = setting(
        "Factor of the sum of all squared kernels, which is added to the loss. It is half of PyTorch's weight decay.",
        default=5e-4,
        source=PAPER,
        at_least=0.0,
        at_most=1e6,
        varies=_BY_SOURCE,
    )
    weight_decay: float = setting(
        "Decoupled weight decay. In each step, kernels are multiplied by 1 - decay * rate.",
        default=0.0,
        source=PAPER,
        at_least=0.0,
        at_most=1e6,
        varies=_BY_SOURCE,
    )
    dropout: float = setting(
        "Dropout rate before the class head.",
        default=0.2,
        source=PAPER,
        at_least=0.0,
        at_most=0.99,
        shows="RATE",
        varies=_BY_SOURCE,
    )
    trunk_dropout: float = setting(
        "Dropout rate inside the network.",
        default=0.0,
        source=PAPER,
        at_least=0.0,
        at_most=0.99,
        shows="RATE",
        varies=_BY_SOURCE,
    )
