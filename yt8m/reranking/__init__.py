"""Class-conditional ranking: is this class relevant to this segment, asked of the pair, with features of both."""
