"""Docstrings as Markdown takes them: what looks like a tag is none."""

import re

import griffe


class PlainText(griffe.Extension):
    """Escapes < outside of `code` in all docstrings."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = re.sub(r"`[^`]*`|<", lambda part: "&lt;" if part[0] == "<" else part[0], obj.docstring.value)
