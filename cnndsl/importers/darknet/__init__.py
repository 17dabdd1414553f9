"""Networks of the Darknet framework: a .cfg file, and a .weights file where there is one."""
