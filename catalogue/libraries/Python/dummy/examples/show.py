# Prints what comes.
# ***[var_define]***
label = "received"
# ***[import_string]***
from library.dummy.dummy import show
# ***[runs_content]***
show(label, data)
