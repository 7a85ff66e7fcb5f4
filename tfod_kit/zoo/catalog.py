"""The models that can be named on the command line."""

from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.zoo.bases import BASES
from tfod_kit.zoo.model import Model
from tfod_kit.zoo.variants import VARIANTS

MODELS = (*BASES, *VARIANTS)
DEFAULT = BASES[0]


def find(name: str) -> Model:
    """The model of a short name, an alias or a zoo archive's name, whatever the case and dashes.

    Raises:
      UsageError: there is none; the nearest names are offered.
    """
    by_name = {plain(known): model for model in MODELS for known in model.names}
    try:
        return by_name[plain(name)]
    except KeyError:
        # Near a long name of the zoo people mean a short one, so those are tried first.
        for known in (_short_names(), [name for model in MODELS for name in model.names]):
            near = did_you_mean(name, known)
            if near.startswith("Did"):
                break
        else:
            near = did_you_mean(name, [model.name for model in BASES])
        raise UsageError(
            f"There is no model {name!r}.", fix=f"{near} `tfod models` lists all {len(MODELS)}."
        ) from None


def plain(name: str) -> str:
    """A name as it is compared: small letters, and _ for - and dots."""
    return name.lower().replace("-", "_").replace(".", "_").removesuffix("_tar_gz")


def _short_names() -> list[str]:
    return [name for model in MODELS for name in (model.name, *model.aliases)]


__all__ = ["BASES", "DEFAULT", "MODELS", "Model", "find", "plain"]
