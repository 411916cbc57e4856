# Reads a number that walks by chance between two bounds.
# ***[var_define]***
lowest = 0.0
highest = 100.0
# ***[import_string]***
from library.dummy.dummy import Walk
# ***[init_content]***
walk = Walk(lowest, highest)
# ***[runs_content]***
values = [walk.read()]
