"""``skae zoo``: list trained models."""

from skae._commands.console import make_plain
from skae._commands.info import print_about, show
from skae.zoo import Folder
from skae.zoo._models import BUILT_IN


def run(options):
    """Print the names of models, or the description of one."""
    models = BUILT_IN if options.folder is None else Folder(options.folder)
    if options.model is not None:
        print_about(models.read_about(options.model))
        return
    names = models.list_models()
    if not names:
        print(f"No models in {make_plain(options.folder)}")
    width = max(map(len, names), default=0)
    for name in names:
        title = models.read_about(name).get("card", {}).get("title", "")
        print(make_plain(f"{name:<{width}}  {show(title)}").rstrip())
