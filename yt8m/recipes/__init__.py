"""What a run is when not everything is said: the only place where a flag that is not given gets its meaning.

A run's flags are a dict of what was given, as yt8m.flags.read returns it.
"""

from yt8m.recipes.defaults import RECIPES, recipe, small
from yt8m.recipes.resolve import Run, resolve

__all__ = ["RECIPES", "Run", "recipe", "resolve", "small"]
