"""Models of frames, one system a file; yt8m.models imports every file here, which registers its models."""
