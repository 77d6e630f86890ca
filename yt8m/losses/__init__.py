"""Classification losses: one value a row. The training loop minimises their mean over the rows.

A loss may need more of a batch than labels and weights: NEEDS names these entries, and the call takes them by keyword.
"""

from yt8m import registry
from yt8m.errors import UserError
from yt8m.flags.values import check_like
from yt8m.losses.branches import BranchCrossEntropyLoss
from yt8m.losses.dustbin import DustbinLoss
from yt8m.losses.masked import MaskedCrossEntropyLoss
from yt8m.losses.online_distillation import OnlineDistillationLoss
from yt8m.losses.sampled_negatives import SampledNegativeLoss
from yt8m.losses.starter import CrossEntropyLoss, HingeLoss, SoftmaxLoss

__all__ = [
    "BranchCrossEntropyLoss",
    "CrossEntropyLoss",
    "DustbinLoss",
    "HingeLoss",
    "MaskedCrossEntropyLoss",
    "OnlineDistillationLoss",
    "SampledNegativeLoss",
    "SoftmaxLoss",
    "build",
    "get",
    "needs_of_model",
    "needs_video_labels",
    "settled",
]

# Loss -> arguments that meant something else to runs whose ModelConfig has defaults below config.LOSS_DEFAULTS. A loss whose
# arguments meant something else by others that were given has earlier_options.
EARLIER_DEFAULTS = {"CrossEntropyLoss": {"epsilon": 1e-7}}


def get(name):
    """The loss class of that name; UserError lists the known ones."""
    return registry.get("loss", name)


def needs_video_labels(name):
    """Whether a loss is for segments alone: it needs the labels of the video around each."""
    return "video_labels" in getattr(get(name), "NEEDS", ())


def needs_of_model(name):
    """Names of what a loss needs of the model beside predictions: BaseModel.loss_entries has them, or the loss has no use."""
    return [entry for entry in getattr(get(name), "NEEDS", ()) if entry != "video_labels"]


def settled(name, options, earlier=False):
    """Options as a record has them, and beside them those whose defaults have changed since it was written.

    Args:
        name: registered name.
        options: as build's.
        earlier: the record is of before the defaults changed.
    """
    if not earlier:
        return options
    by_others = getattr(get(name), "earlier_options", None)
    return {**EARLIER_DEFAULTS.get(name, {}), **options, **(by_others(options) if by_others else {})}


def build(name, options=None):
    """The loss of that name with these arguments of its constructor.

    Args:
        name: registered name.
        options: {argument: value}.

    Raises:
        UserError: an unknown loss, or an argument that it does not have or refuses.
    """
    loss, options = get(name), options or {}
    known = sorted(loss().get_config())
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(f"--loss_options: {name} has no {unknown[0]}. It has {', '.join(known)}.")
    for option, value in options.items():
        check_like(f"--loss_options: {option}", value, loss().get_config()[option])
    return loss(**options)
