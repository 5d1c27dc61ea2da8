# SPDX-License-Identifier: Apache-2.0
"""What the tables of a `board.toml` are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Address = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
Size = Annotated[int, Field(gt=0, le=0x1_0000_0000)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")]


class Facts(BaseModel):
    """A table: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
