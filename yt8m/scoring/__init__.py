"""From segments to scores, to each class's best segments, to a submission."""
