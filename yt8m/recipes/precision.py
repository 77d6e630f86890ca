"""What --precision=auto stands for: decided once, when a run begins, by what the machine multiplies faster."""

import functools
import json
import os
import platform
import time
from typing import NamedTuple

from yt8m import config as configs
from yt8m import jsonfiles, models
from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.folders import cache_folder
from yt8m.recipes.sources import folder_of_training

AUTO, SINGLE, BFLOAT16 = "auto", "float32", "mixed_bfloat16"
CHOICES = (SINGLE, BFLOAT16, "mixed_float16")
VARIABLE = "YT8M_PRECISION"  # what auto stands for, of those who would not have each machine decide
FASTER = 1.5  # times that a CPU multiplies bfloat16 faster, from which on training in it pays
PRODUCT = (512, 1024, 1024)  # rows, inner, columns of what is measured
SECONDS = 0.2  # of measuring, for each type
TYPES = ("float32", "bfloat16")


class Choice(NamedTuple):
    """A precision of CHOICES, and a line that says why it was taken; "": somebody said so, or the run has it."""

    precision: str
    line: str = ""


def choose(given, model, base=None):
    """The precision of a run.

    A run that goes on keeps what it began with, wherever it goes on, so that it goes on with the same numbers.

    Args:
        given: {flag: value}.
        model: name of the model.
        base: ModelConfig that the run goes on from, or None.

    Raises:
        UserError: YT8M_PRECISION is no precision, or the model is unknown.
    """
    if given.get("precision", AUTO) != AUTO:
        return Choice(given["precision"])
    base = base or _begun_em(given)
    if base:
        return Choice(base.precision)
    precision, reason = _of_machine(given, models.model_class(model))
    return Choice(precision, f"--precision=auto: {precision}, since {reason}.")


def _of_machine(given, model):
    """(precision, why) of a run that begins here."""
    import tensorflow as tf

    if os.environ.get(VARIABLE):
        precision = os.environ[VARIABLE]
        if precision not in CHOICES:
            raise UserError(f"{VARIABLE}={precision}: use one of {', '.join(CHOICES)}, or unset it.")
        return precision, f"{VARIABLE} says so"
    if tf.config.list_physical_devices("GPU"):
        return BFLOAT16, "TensorFlow sees a GPU"
    if "TF_CONFIG" in os.environ:
        return SINGLE, "several hosts train, which must agree"
    if given.get("devices", 0) > 1:  # TensorFlow makes several of one CPU only before it has computed anything
        return SINGLE, "several devices share a CPU"
    if not model.GAINS_BY_BFLOAT16:
        return SINGLE, f"{model.__name__} is none of the models that are known to gain by bfloat16 on a CPU"
    rates = product_rates()
    ratio = rates["bfloat16"] / rates["float32"]
    figures = " and ".join(f"{rates[name] / 1e9:.0f}" for name in reversed(TYPES))
    measured = f"this CPU multiplies bfloat16 {ratio:.1f} times as fast as float32 ({figures} GFLOP/s)"
    return (BFLOAT16, measured) if ratio >= FASTER else (SINGLE, f"{measured}, not {FASTER} times")


def _begun_em(given):
    """ModelConfig of an EM process that goes on; None: it begins, or this is none."""
    if given.get("stage") != "em" or given.get("start_new_model"):
        return None
    folder = os.path.join(folder_of_training(given), "initial")
    return configs.read_model_config(folder) if os.path.exists(os.path.join(folder, configs.MODEL_FILE)) else None


def product_rates():
    """Operations a second of a matrix product on this CPU, {type of TYPES: rate}: measured once a machine and TensorFlow.

    They are kept in cache_folder("products.json"); where that cannot be read or written they are measured again.
    """
    import tensorflow as tf

    path, machine = cache_folder("products.json"), f"{platform.node()}, {cpu()}, TensorFlow {tf.__version__}"
    try:
        known = jsonfiles.read(path, {}, "It is made anew", missing={})
        jsonfiles.check(known.get(machine), dict.fromkeys(TYPES, jsonfiles.Number()))
        if all(known[machine][name] > 0 for name in TYPES):
            return known[machine]
    except (OSError, UserError):
        known = {}
    except ValueError:
        pass
    rates = measured_rates()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({**known, machine: rates}, indent=1) + "\n")
    except (OSError, UserError):
        pass
    return rates


@functools.cache
def measured_rates():
    """Operations a second of a matrix product of PRODUCT, {type: rate}: the fastest of some, the types in turn."""
    import tensorflow as tf

    rows, inner, columns = PRODUCT
    operands = {name: (tf.ones((rows, inner), name), tf.ones((inner, columns), name)) for name in TYPES}
    fastest, deadline = dict.fromkeys(TYPES, float("inf")), None
    while deadline is None or time.monotonic() < deadline:
        for name, (left, right) in operands.items():
            start = time.perf_counter()
            tf.linalg.matmul(left, right).numpy()
            fastest[name] = min(fastest[name], time.perf_counter() - start)
        deadline = deadline or time.monotonic() + len(TYPES) * SECONDS  # the first of each prepares the next
    return {name: 2 * rows * inner * columns / seconds for name, seconds in fastest.items()}


def cpu():
    """Name of the CPU and what of bfloat16 it has, as far as Linux says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = dict(map(str.strip, line.split(":", 1)) for line in file if ":" in line)
    except OSError:
        lines = {}
    flags = (flag for flag in lines.get("flags", lines.get("Features", "")).split() if "bf16" in flag)
    return " ".join((lines.get("model name") or platform.processor() or platform.machine(), *sorted(flags)))
