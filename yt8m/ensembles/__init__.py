"""Several models' scores, or several submissions, made one."""
