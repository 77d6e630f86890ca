"""The average precision of each class, as a CSV file."""

import csv
import math

from yt8m.files import replacing

COLUMNS = ("Class", "Name", "AP", "Positives")


def write(path, label_ids, metrics, names=None):
    """Writes a line a class: its label id, its name, its average precision (empty without positives), how many positives it has.

    Args:
        path: the CSV file.
        label_ids: of the columns of the model's predictions.
        metrics: with class_average_precisions and class_positives, [C] each.
        names: {label id: name}, or None; a class without one has an empty name.

    Raises:
        UserError: the file cannot be written.
    """
    columns = zip(label_ids, metrics["class_average_precisions"].tolist(), metrics["class_positives"].tolist(), strict=True)
    with replacing(path, "w", f"--per_class_output={path}") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for label, precision, positives in columns:
            value = "" if math.isnan(precision) else f"{precision:.6f}"
            writer.writerow((label, (names or {}).get(label, ""), value, positives))
