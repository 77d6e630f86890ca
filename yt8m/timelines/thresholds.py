"""thresholds.csv: from which score on each class counts as there. `yt8m eval` writes it, `yt8m timeline` reads it."""

import csv
import decimal
import io

from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.metrics.thresholds import best_f1_thresholds

COLUMNS = ("class", "high", "f1", "positives", "rated")
_DIGITS = decimal.Context(prec=6)  # that count: the least score is not 0


def write(path, label_ids, classes, scores, labels):
    """Writes the thresholds of best F1 of rated pairs.

    Args:
        path: CSV file.
        label_ids: of a model's columns.
        classes: int [n], the column of each pair.
        scores, labels: [n], as best_f1_thresholds'.

    Returns:
        How many classes have one.

    Raises:
        UserError: the file cannot be written.
    """
    best = best_f1_thresholds(classes, scores, labels)
    lines = [",".join(COLUMNS)]
    for column, threshold in best.items():
        high = _rounded_down(threshold.high)
        lines.append(f"{label_ids[column]},{high:.{_DIGITS.prec}g},{threshold.f1:.4f},{threshold.positives},{threshold.rated}")
    write_text(path, "\n".join(lines) + "\n", f"--thresholds_output={path}")
    return len(best)


def read(path):
    """{label id: high} of a CSV file with the columns `class` and `high`; others are not looked at.

    Raises:
        UserError: no such file, or a line that has no label id and score from 0 to 1.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(io.StringIO(file.read(), newline=""))
            return {int(row["class"]): _score(row["high"]) for row in rows}
    except OSError as error:
        raise UserError(f"--thresholds_file={path}: cannot be read ({error.strerror}). Check the path.") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"--thresholds_file={path}: not lines of class,high with a score from 0 to 1 ({reason}). Write it with "
            "`yt8m eval --segment_labels --thresholds_output=FILE`."
        ) from error


def _rounded_down(score):
    """A score in so many digits, not above what it is."""
    nearest = _DIGITS.create_decimal_from_float(score)
    return float(nearest if float(nearest) <= score else _DIGITS.next_minus(nearest))


def _score(text):
    score = float(text)
    if not 0 <= score <= 1:
        raise ValueError(f"high={text}")
    return score
