Prints what comes.
// ***[var_define]***
std::string label = "received";
// ***[import_string]***
#include "dummy/dummy.hpp"
// ***[runs_content]***
dummy::show(label, data);
