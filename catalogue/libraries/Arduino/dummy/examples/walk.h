Reads a number that walks by chance between two bounds.
// ***[var_define]***
double lowest = 0.0;
double highest = 100.0;
// ***[import_string]***
#include "../dummy/dummy.h"
// ***[member_var_define]***
dummy::Walk walk{lowest, highest};
// ***[runs_content]***
values.add(walk.read());
