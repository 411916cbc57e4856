"""Ids, names and other parts of the workshop's calls, each with its bounds."""

from typing import Annotated, Literal

from ninja import Path, Query
from pydantic import Field, StringConstraints

Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
LongId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: A name as part of an address or query; NUL is in no name, and PostgreSQL refuses it.
Text = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]*$")]
LongText = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
#: A library by its key: L5 is a library, D3 a device library.
LibraryKey = Annotated[str, StringConstraints(pattern=r"^[LD][1-9][0-9]{0,8}$")]
Direction = Literal["idf", "odf"]
IdPath = Annotated[Id, Path()]
LongIdPath = Annotated[LongId, Path()]
TextPath = Annotated[Text, Path()]
KeyPath = Annotated[LibraryKey, Path()]
NumberPath = Annotated[Number, Path()]
IdQuery = Annotated[Id, Query()]
OptionalId = Annotated[Id | None, Query()]
