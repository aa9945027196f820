"""Train on a folder of pictures: ``python examples/own_folder.py --data-dir pictures``.

The package must be installed; in a checkout ``make demo`` has done so in ``.venv``. Without ``--data-dir`` a small
folder of digits is made, which shows how the pictures should lie.
"""

import argparse
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import sesemi


def make_folder_of_digits(place: Path) -> None:
    """Write 30 labeled, 500 unlabeled and 300 test pictures as PNG files."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:830], digits.target, strict=False)):
        part = f"labeled/{label}" if number < 30 else "unlabeled" if number < 530 else f"test/{label}"
        (place / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype("uint8")).save(place / part / f"{number}.png")


def main() -> None:
    """Train, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="The folder of the pictures.")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="The folder of all runs.")
    parser.add_argument("--epochs", type=int, default=20, help="The number of epochs.")
    parser.add_argument("--steps-per-epoch", type=int, default=30, help="The number of updates in an epoch.")
    args = parser.parse_args()
    pictures = args.data_dir or args.output / "digits as pictures"
    if args.data_dir is None and not pictures.exists():
        make_folder_of_digits(pictures)
    config, origins = sesemi.resolve(
        {
            "dataset": "folder",
            "data_dir": str(pictures),
            "method": "mean_teacher",
            "network": "mini",
            "image_size": 8,
            "flip": False,
            "epochs": args.epochs,
            "steps_per_epoch": args.steps_per_epoch,
            "output": str(args.output),
        }
    )
    found = sesemi.run(config, origins)
    print(f"test error: {found['test_error']:.1f} %; see {config.run_dir / 'report.html'}")


if __name__ == "__main__":
    main()
