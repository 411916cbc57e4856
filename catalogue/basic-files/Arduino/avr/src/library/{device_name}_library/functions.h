// The functions of this device, made by DeviceTalk.
#pragma once

#include "../../talk.h"

using talk::Data;
using talk::Values;

// Global variables
{{ sa.global_variable_setup }}
{%- for function in functions %}

// {{ function.df_name }}: {{ function.name | cstr }}
{{ function.content }}
{%- endfor %}
