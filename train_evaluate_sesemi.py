"""Train and evaluate SESEMI: ``python train_evaluate_sesemi.py --network wrn --dataset cifar10 --labels 4000``."""

import sys

from sesemi.commands.train import main

if __name__ == "__main__":
    sys.exit(main(program="train_evaluate_sesemi.py"))
