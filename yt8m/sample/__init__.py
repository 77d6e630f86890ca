"""The built-in sample: made-up videos in the native formats, with known truth."""
