"""DeviceTalk's tables, named as in its documentation; each file holds one domain."""

from gridtalk.devicetalk.models_base import (
    DeviceFeatureBase,
    DfHasSaFunctionBase,
    FileGroup,
    LibraryPoolBase,
)
from gridtalk.devicetalk.models_check import DeviceCheck
from gridtalk.devicetalk.models_code import (
    BasicFile,
    DeviceModel,
    DeviceModelFeature,
    DfType,
    Language,
    Library,
    LibraryFunction,
    SaFunction,
)
from gridtalk.devicetalk.models_device import (
    Device,
    DeviceDf,
    DeviceDfHasSaFunction,
    DeviceHasLibrary,
    DeviceLibrary,
    DeviceLibraryDf,
    DeviceLibraryDfHasSaFunction,
)
from gridtalk.devicetalk.models_history import DeviceVersion, SaFunctionVersion, VersionBase

__all__ = [
    "BasicFile",
    "Device",
    "DeviceCheck",
    "DeviceDf",
    "DeviceDfHasSaFunction",
    "DeviceFeatureBase",
    "DeviceHasLibrary",
    "DeviceLibrary",
    "DeviceLibraryDf",
    "DeviceLibraryDfHasSaFunction",
    "DeviceModel",
    "DeviceModelFeature",
    "DeviceVersion",
    "DfHasSaFunctionBase",
    "DfType",
    "FileGroup",
    "Language",
    "Library",
    "LibraryFunction",
    "LibraryPoolBase",
    "SaFunction",
    "SaFunctionVersion",
    "VersionBase",
]
