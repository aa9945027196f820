"""Settings of the machine: on which devices a run goes, and in which precision."""

from dataclasses import dataclass
from typing import ClassVar

from sesemi.config.setting import setting
from sesemi.config.sources import PAPER


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """Devices, workers, precision and compilation."""

    SECTION: ClassVar[str] = "machine"

    gpu: str = setting(
        "GPU to use, by its number, or 'cpu'. It is put into CUDA_VISIBLE_DEVICES. Several, such as 0,1, share every "
        "batch. Without a GPU the CPU is used.",
        default="0",
        shows="ID",
        placement=True,
        runs_only=True,
    )
    precision: str = setting(
        "Precision of the computations. Weights, logits and losses stay in float32.",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        source=PAPER,
    )
    jit: str = setting(
        "Compile the training step with XLA. auto does so on one GPU, not on the CPU or on several devices.",
        choices=("auto", "on", "off"),
        default="auto",
    )
    steps_per_execution: int = setting(
        "Number of updates that TensorFlow makes without coming back to Python. Not for methods with a "
        "teacher or several students.",
        default=1,
        at_least=1,
        at_most=10**6,
        shows="N",
        placement=True,
    )
    sync_batch_norm: bool = setting("Normalize the images of several devices together.", default=False, runs_only=True)
    replicas_cpu: int = setting(
        "Number of parts of the CPU that share every batch, as several GPUs would.",
        default=1,
        at_least=1,
        at_most=64,
        shows="N",
        runs_only=True,
    )
    workers: str | None = setting(
        "Addresses of all processes that share every batch, the same list on each (docs/scaling.md). TF_CONFIG can say "
        "the same.",
        shows="HOST:PORT,…",
        placement=True,
        runs_only=True,
    )
    worker: int | None = setting(
        "Number of this process in the list of `workers`, from 0. Worker 0 writes the run folder.",
        shows="N",
        placement=True,
        runs_only=True,
    )
