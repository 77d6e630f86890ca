"""A model card: what a trained model is, what it is for, how it was trained and how good it is, as a README.md for hubs."""

import dataclasses
import inspect
import json
import os
import re

from yt8m import config as configs
from yt8m import jsonfiles, models
from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.scoring.classes import predicted_label_ids
from yt8m.sharing.front_matter import front_matter
from yt8m.stages import record
from yt8m.stages.judged import Judged

NAME, SHOWN_CLASSES = "README.md", 20
# What is shown of a stage; paths stay at home.
_SETTINGS = ("batch_size", "max_steps", "num_epochs", "optimizer", "base_learning_rate", "schedule", "weight_decay",
             "ema_momentum", "clip_gradient_norm", "unrated_as_negatives", "start_time_weight", "folds",
             "augmentation", "seed")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the model was judged on.

    Attributes:
        judged: Judged.
        dataset: what the evaluation set is called.
    """

    judged: Judged
    dataset: str


@dataclasses.dataclass(frozen=True)
class Card:
    """What a card says beside what the model itself tells.

    Attributes:
        name: title.
        file: name of the bundle or the .keras file that the card goes with; "": the folder is what is loaded.
        license: identifier as hubs have it; "": none was named.
        datasets, tags: texts for the front matter.
        intended_use, limits: sentences of the author's; "": none.
        evaluation: Evaluation, or None.
    """

    name: str
    file: str = ""
    license: str = ""
    datasets: tuple = ()
    tags: tuple = ()
    intended_use: str = ""
    limits: str = ""
    evaluation: Evaluation | None = None


def check_place(path, overwrite):
    """Refuses a card that is there, unless it may be replaced.

    Raises:
        UserError: says what to do.
    """
    if os.path.lexists(path) and not overwrite:
        raise UserError(f"{path}: is there already. Give --overwrite to replace it, or --output_file=FILE for another place.")


def write(path, card, trained, names, folder):
    """Writes the card.

    Args:
        path: file.
        card: Card.
        trained: restore.Trained.
        names: {label id: name}.
        folder: of the run, for what its stages were made with.

    Raises:
        UserError: the file cannot be written.
    """
    write_text(path, text(card, trained, names, folder).encode("utf-8", "replace").decode("utf-8"))


def text(card, trained, names, folder):
    """The text of the card; arguments as write's."""
    head = front_matter(card.name, card.license, card.datasets, card.tags, card.evaluation)
    sections = (
        f"# {plain(card.name)}\n\n{_summary(trained)}",
        f"## Intended use\n\n{_intended_use(card)}",
        f"## Limits\n\n{_limits(card, trained.config)}",
        f"## How to load it\n\n{_loading(card, trained.config)}",
        f"## Evaluation\n\n{_evaluation(card.evaluation)}",
        f"## Architecture\n\n{_architecture(trained, names)}",
        f"## Training\n\n{_training(trained, folder)}",
        f"## Licence\n\n{_license(card.license)}",
    )
    return head + "\n" + "\n\n".join(sections) + "\n"


def plain(value):
    """A text in which Markdown and HTML find no marks, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(value).split())).replace("\\<", "&lt;").replace("\\>", "&gt;")


def _summary(trained):
    config = trained.config
    first = inspect.getdoc(type(trained.model)).splitlines()[0]
    return (
        f"A `{config.model}` that says which of {config.num_outputs:,} classes are in a video, and in which 5-second segments, "
        f"from features of its frames. {plain(first)} Trained with `yt8m`, in Keras; weights of step {trained.step:,}."
    )


def _intended_use(card):
    general = (
        "For each class a probability for every 5 seconds of a video: to find where in it a topic occurs, to rank segments, to "
        "make timelines."
    )
    return f"{plain(card.intended_use)}\n\n{general}" if card.intended_use else general


def _limits(card, config):
    names, sizes = config.segment_feature_names, config.feature_sizes
    features = " and ".join(f"`{name}` ({size} bytes)" for name, size in zip(names, sizes, strict=True))
    lines = [
        f"It reads features, not pictures: a frame a second, {features}, from the extractor that its training data came from. Of "
        "other features its probabilities mean nothing.",
        "It knows the classes below and no others; a probability is no certainty, and its best threshold differs by class.",
        "Its grid is 5 seconds: what is shorter than that has no place of its own.",
    ]
    if config.sample:
        made_up = "**It was trained on made-up videos** (the package's built-in sample): it finds nothing in real videos."
        lines.insert(0, made_up)
    if card.limits:
        lines.insert(0, plain(card.limits))
    return "\n".join(f"- {line}" for line in lines)


def _loading(card, config):
    width, names = sum(config.feature_sizes), " and ".join(config.segment_feature_names)
    loads = f'yt8m.load("{card.file}")' if card.file.endswith(".tgz") else 'yt8m.load("FOLDER")'
    lines = [
        "import numpy as np",
        "import yt8m",
        "",
        f"model = {loads}" + ("" if card.file.endswith(".tgz") else "    # the folder that this file is in, or hf://USER/NAME"),
        f"frames = np.zeros((60, {width}), np.uint8)    # a frame a second: {names}, side by side",
        "probabilities = model.predict(frames)    # [12, classes], a row for each 5 seconds",
        "timeline = model.localize(frames)",
    ]
    if card.file.endswith(".keras"):
        lines += ["", "import keras", "", f'model = keras.saving.load_model("{card.file}")    # a keras.Model']
    return "```python\n" + "\n".join(lines) + "\n```"


def _evaluation(evaluation):
    if evaluation is None:
        return "None was made for this card."
    judged = evaluation.judged
    metrics, (low, high) = judged.metrics, judged.interval
    classes = int((metrics["class_positives"] > 0).sum())
    what = "rated (segment, class) pairs" if judged.segments else "(video, class) pairs"
    rows = [
        "| metric | value | 95% interval over videos |",
        "| --- | --- | --- |",
        f"| MAP, mean over {classes:,} classes with positives | {metrics['map']:.4f} | {low:.4f} to {high:.4f} |",
        f"| MAP of a random order, about | {metrics['chance']:.4f} | |",
        f"| AUC of all pairs together | {metrics['auc']:.4f} | |",
    ]
    note = (
        f"The interval is a bootstrap over videos ({len(judged.resampled):,} resamples, each video with all its pairs; "
        "percentiles moved by the bias)."
    )
    head = f"On {plain(evaluation.dataset)}: {metrics['num_pairs']:,} {what} of {judged.num_videos:,} videos."
    return "\n\n".join((head, "\n".join(rows), note))


def _architecture(trained, names):
    config, ids = trained.config, predicted_label_ids(trained.config)
    named = [plain(names[label]) for label in ids if names.get(label)]
    shown = ", ".join(named[:SHOWN_CLASSES]) + (f" and {len(named) - SHOWN_CLASSES:,} more" if len(named) > SHOWN_CLASSES else "")
    source = re.search(r"^Source: (.+?)(?:\n\n|\Z)", inspect.getdoc(models.model_class(config.model)) or "", re.M | re.S)
    lines = [
        f"- `{config.model}`, {trained.model.count_params():,} parameters.",
        f"- {config.num_outputs:,} classes: {shown or 'without names, by their label ids'}.",
    ]
    if source:
        lines.append(f"- Source: {plain(source[1])}")
    return "\n".join(lines)


def _training(trained, folder):
    values = {**dataclasses.asdict(trained.config), "class_names": None}
    flags = json.dumps({name: value for name, value in values.items() if value is not None}, indent=1)
    blocks = [f"Flags of the model (`{configs.MODEL_FILE}`):\n\n```json\n{flags}\n```"]
    for stage, noted in _stages(folder).items():
        fields = {name: noted["fields"][name] for name in _SETTINGS if noted["fields"].get(name) not in (None, "", 0, {}, [])}
        rows = [f"| `{name}` | {plain(jsonfiles.shown(value))} |" for name, value in fields.items()]
        blocks.append(f"Stage `{stage}`:\n\n| flag | value |\n| --- | --- |\n" + "\n".join(rows))
    return "\n\n".join(blocks)


def _stages(folder):
    """What is noted of the run's stages; nothing where it is no train_dir."""
    try:
        return record.noted(folder)
    except UserError:
        return {}


def _license(license):
    if license:
        return f"`{plain(license)}`"
    return "None was named. Ask whoever trained the model before you use it."
