"""Own videos in: from files to native YouTube-8M frame-level records."""
