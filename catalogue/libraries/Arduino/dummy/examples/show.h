Prints what comes.
// ***[var_define]***
const char *label = "received";
// ***[import_string]***
#include "../dummy/dummy.h"
// ***[runs_content]***
dummy::show(label, data);
