"""The catalogue of models, with the names that the command line accepts."""

from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.zoo.bases import BASES
from tfod_kit.zoo.model import Model
from tfod_kit.zoo.variants import VARIANTS

MODELS = (*BASES, *VARIANTS)
DEFAULT = BASES[0]


def find(name: str) -> Model:
    """The model with a short name, an alias or an archive's name; case and dashes are ignored.

    Raises:
      UsageError: there is no such model; similar names are suggested.
    """
    by_name = {plain(known): model for model in MODELS for known in model.names}
    try:
        return by_name[plain(name)]
    except KeyError:
        # Short names first: a misspelt one may be more similar to a long archive name.
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
    """A name normalised for comparison: lower case, with _ for dashes and dots."""
    return name.lower().replace("-", "_").replace(".", "_").removesuffix("_tar_gz")


def _short_names() -> list[str]:
    return [name for model in MODELS for name in (model.name, *model.aliases)]


__all__ = ["BASES", "DEFAULT", "MODELS", "Model", "find", "plain"]
