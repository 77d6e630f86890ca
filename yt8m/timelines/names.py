"""What classes are called."""


def class_name(names, label_id):
    """The name of a class: `label ID` where it has none, on one line."""
    return " ".join(names.get(label_id, "").split()) or f"label {label_id}"
