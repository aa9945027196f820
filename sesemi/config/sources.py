"""Sources of default values: papers, published programs, and our own choices."""

PAPER = "Tran 2019, arXiv:1906.10343, and its published program"
TRICKS = "Tricks-of-Semi-supervisedDeepLeanring-Pytorch, run.sh (CIFAR-10, 4,000 labels, CNN-13)"
TARVAINEN = "Tarvainen & Valpola 2017, arXiv:1703.01780, and the authors' PyTorch program (4,000 labels)"
MIXMATCH = "Berthelot et al. 2019, arXiv:1905.02249, and ScarceClassifier"
USB = "Semi-supervised-learning (USB), CIFAR-10 and SVHN; Sohn et al. 2020, arXiv:2001.07685"
STRONG_VIEW = "Sohn et al. 2020, arXiv:2001.07685 (RandAugment, then Cutout)"
LIKE_FIXMATCH = "as FixMatch in USB; the method's own paper fine-tunes larger networks"
SCARCE = "ScarceClassifier (promotion from half of the run on, every twentieth of it)"
LAINE = "Laine & Aila 2017, arXiv:1610.02242, §3: w_max M/N with w_max = 100"
OURS = "sesemi's own choice"
ELSEWHERE = "as Tran 2019 on other data"
# A data set or a method that somebody added has no paper here that could be quoted.
ADDED = "as Tran 2019, who had neither this method nor these data"
# Values of these sources are called the paper's; all others are defaults.
PAPERS = (PAPER, TRICKS, TARVAINEN, MIXMATCH, USB, STRONG_VIEW, LAINE)


def origin(source: str) -> str:
    """Return the origin of a value: the kind of its source, and the source."""
    return f"{'paper' if source in PAPERS else 'default'}: {source}"
