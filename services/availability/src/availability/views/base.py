"""What every answer is."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True)
