"""The front matter of a model card, as model hubs read it: YAML between two lines of ---."""

import json
import re

LIBRARY, TASK = "keras", "video-classification"
_NO_TEXTS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")  # without quotation marks
_UNPRINTABLE = re.compile("[\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")  # what YAML does not take as it is


def front_matter(name, license, datasets, tags, evaluation):
    """The text of the front matter.

    Args:
        name: of the model.
        license: identifier, or "".
        datasets, tags: texts.
        evaluation: Evaluation of sharing.card, or None.
    """
    values = {"library_name": LIBRARY, "pipeline_tag": TASK}
    if license:
        values["license"] = license
    if datasets:
        values["datasets"] = list(datasets)
    values["tags"] = list(dict.fromkeys(("yt8m", "keras", "tensorflow", "temporal-localization", *tags)))
    if evaluation:
        values["metrics"] = ["mean_average_precision", "roc_auc"]
        values["model-index"] = [{"name": name, "results": [_result(evaluation)]}]
    return "\n".join(["---", *_lines(values), "---"])


def _result(evaluation):
    """A result of the model index."""
    metrics, (low, high) = evaluation.judged.metrics, evaluation.judged.interval
    rows = [
        {"type": "mean_average_precision", "name": f"MAP (95% over videos: {low:.4f} to {high:.4f})", "value": metrics["map"]},
        {"type": "roc_auc", "name": "AUC", "value": metrics["auc"]},
    ]
    rows = [{**row, "value": round(row["value"], 4)} for row in rows if row["value"] == row["value"]]
    what = "Rated 5-second segments" if evaluation.judged.segments else "Whole videos"
    kind = re.sub(r"[^A-Za-z0-9/._-]+", "-", evaluation.dataset).strip("-") or "dataset"
    return {"task": {"type": TASK, "name": what}, "dataset": {"type": kind, "name": evaluation.dataset}, "metrics": rows}


def _lines(value, indent=""):
    """The lines of a mapping or a list in YAML; scalars as JSON has them, which YAML reads."""
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, (dict, list)):
                yield f"{indent}{key}:"
                yield from _lines(part, indent + "  ")
            else:
                yield f"{indent}{key}: {_scalar(part)}"
        return
    for part in value:
        if isinstance(part, dict):
            first, *others = _lines(part, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from others
        else:
            yield f"{indent}- {_scalar(part)}"


def _scalar(value):
    """A text or a number; a text without marks where it reads as itself."""
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_./-]*", value) and value not in _NO_TEXTS:
        return value
    return _UNPRINTABLE.sub(" ", json.dumps(value, ensure_ascii=False))
