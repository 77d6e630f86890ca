"""Where in a video: scores a stride, the intervals that they make, and the files and the page that show them."""
