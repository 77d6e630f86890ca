"""Writes the tables of docs/ that are made from the code, between their markers.

  python docs/make_tables.py            after a change of yt8m/recipes/defaults.py or of a model's facts
"""

import pathlib

from yt8m import models, registry
from yt8m.recipes import defaults

PAGE = pathlib.Path(__file__).parent / "training.md"
BEGIN, END = "<!-- recipes: made by docs/make_tables.py -->\n", "<!-- recipes: end -->\n"
COLUMNS = ("recipe", "used for", "stage", "batch", "learning rate", "schedule", "length", "optimizer", "loss")


def recipe_table():
    """The table of RECIPES in Markdown: a line for each recipe and stage, with the models that use it."""
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name, stages in defaults.RECIPES.items():
        same = len(stages) > 1 and all(values == stages["pretrain"] for values in stages.values())
        for stage, values in stages.items():
            first = stage == "pretrain"
            if same and not first:
                continue
            titles = [_title(name), _users(name)] if first else ["", ""]
            rows.append([*titles, "all" if same else f"`{stage}`", *_settings(values, name, "all" if same else stage)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page():
    """The page as it should be: its text with the table made anew."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + recipe_table() + END + rest.split(END)[1]


def _title(name):
    return f"{name} ({defaults.PAPERS[name]})" if name in defaults.PAPERS else name


def _users(name):
    """The models that have a recipe, and how many frames they see beside a segment."""
    if name == "sample":
        return "every model on the built-in sample"
    if name == "starter":
        return "all other models"
    users = []
    for model in defaults.models_of(name):
        frames = registry.get("model", model).SEGMENT_EXPANSION
        users.append(f"{model} (+{frames} frames)" if frames else model)
    return ", ".join(users)


def _settings(values, name, stage):
    """Cells of the training settings."""
    batch, rate = f"{values['batch_size']} {_unit(values, stage)}", f"{values['base_learning_rate']:g}"
    if name == "sample":
        rate += _exceptions("base_learning_rate") if stage == "pretrain" else " and as above"
    schedule = values.get("schedule", "staircase")
    if schedule == "staircase":
        examples = values.get("learning_rate_decay_examples", defaults.DECAY_EXAMPLES)
        schedule = f"x {values['learning_rate_decay']:g} every {examples / 1e6:g}M examples"
    elif "warmup_fraction" in values:
        schedule += f", up over {values['warmup_fraction']:g}"
    length = f"{values['max_steps']:,} steps" if "max_steps" in values else f"{values['num_epochs']} epochs"
    optimizer = values.get("optimizer", "AdamOptimizer").removesuffix("Optimizer")
    if "weight_decay" in values:
        optimizer += f", decay {values['weight_decay']:g}"
    if "optimizer_epsilon" in values:
        optimizer += f", epsilon {values['optimizer_epsilon']:.0e}"
    if "clip_gradient_norm" in values:
        optimizer += f", clip {values['clip_gradient_norm']:g} ({values['clip']})"
    return batch, rate, schedule, length, optimizer, values.get("default_loss", "CrossEntropyLoss").removesuffix("Loss")


def _unit(values, stage):
    """What the batch of a stage counts."""
    if values.get("batch_unit") == "videos" or stage == "pretrain":
        return "videos"
    return "videos; segments" if stage == "all" else "segments"


def _exceptions(fact):
    """The models whose SAMPLE has another value of `fact`, for a cell."""
    groups = {}
    for model in models.model_names():
        sample = registry.get("model", model).SAMPLE
        if fact in sample:
            groups.setdefault(sample[fact], []).append(model)
    return "".join(f"; {value:g}: {', '.join(names)}" for value, names in groups.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
