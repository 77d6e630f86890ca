"""What was exported: export.json and the table."""

import math
import os

from rich.console import Console
from rich.table import Table

from yt8m.segments import SEGMENT_SIZE


def content(rows, config, options, source):
    """The content of export.json: what was exported, how to feed it, and the table."""
    return {
        "version": 1,
        "model": config.model,
        "checkpoint": os.path.basename(source),
        "feature_names": config.segment_feature_names,
        "feature_sizes": config.feature_sizes,
        "max_frames": config.max_frames,
        "segment_size": SEGMENT_SIZE,
        "segment_expansion": config.segment_expansion,
        "video_prediction": config.video_prediction,
        "label_ids": config.label_ids or list(range(config.num_classes)),
        "serving_label_ids": options.label_ids,
        "top_k": options.top_k,
        "backbone": _origin(config.backbone),
        "eval_data_pattern": options.eval_data_pattern or None,
        "calibration_data_pattern": options.calibration_data_pattern or None,
        "formats": [
            {
                "format": row.format,
                "files": row.files,
                "bytes": row.size,
                "map": _number(row.map),
                "map_loss": _number(row.map and rows[0].map - row.map),
                "max_difference": _number(row.max_difference),
                "problem": row.problem,
            }
            for row in rows
        ],
    }


def _origin(backbone):
    """What made the features that the model takes; without paths of this machine."""
    return backbone and {name: backbone.get(name) for name in ("name", "options", "files", "whitening")}


def _number(value):
    """A number as JSON has it: no nan."""
    return None if value is None or math.isnan(value) else value


def show(rows, folder, options):
    """Prints the table."""
    where = f" on {options.eval_data_pattern}" if options.eval_data_pattern else "; no --eval_data_pattern, so no MAP"
    table = Table(title=f"{folder}{where}", title_justify="left")
    for column in ("format", "MB", "MAP", "loss of MAP", "largest difference"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for row in rows:
        size = "left out" if row.problem else f"{row.size / 1e6:.2f}"
        cells = [] if row.map is None else [f"{row.map:.4f}"]
        if cells and row is not rows[0]:
            cells += [f"{rows[0].map - row.map:.4f}", f"{row.max_difference:.1e}"]
        table.add_row(row.format, size, *cells)
    Console().print(table)
