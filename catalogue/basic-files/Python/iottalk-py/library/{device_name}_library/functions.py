"""The functions of this device, made by DeviceTalk."""

# NoData as a result sends nothing.
from iottalkpy.dan import NoData  # noqa: F401

# Global variables
{{ sa.global_variable_setup }}
{%- for function in functions %}


# {{ function.df_name }}: {{ function.name }}
{{ function.content }}
{%- endfor %}
