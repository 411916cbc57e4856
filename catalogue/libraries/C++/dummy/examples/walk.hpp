Reads a number that walks by chance between two bounds.
// ***[var_define]***
double lowest = 0.0;
double highest = 100.0;
// ***[import_string]***
#include "dummy/dummy.hpp"
// ***[member_var_define]***
dummy::Walk walk{lowest, highest};
// ***[runs_content]***
values = json::array({walk.read()});
