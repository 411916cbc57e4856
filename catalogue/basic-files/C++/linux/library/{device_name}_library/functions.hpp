// The functions of this device, made by DeviceTalk.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

using nlohmann::json;

// Global variables
{{ sa.global_variable_setup }}
{%- for function in functions %}

// {{ function.df_name }}: {{ function.name | cstr }}
{{ function.content }}
{%- endfor %}
