"""The `segmentation` command itself: its group, how it fails, and how a segmentation is found by its name."""

import gc
import getpass
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from segmentation_pipeline.errors import SegmentationError

if TYPE_CHECKING:
    from segmentation_pipeline.orchestration.segmentation import SegmentationContext

# The imports make hundreds of thousands of objects that stay; searching them for garbage each time is wasted.
OBJECTS_BEFORE_COLLECTION: Final = 500_000


class Command(click.Command):
    """A command whose example keeps its lines.

    Click wants a backspace in front of it, and a raw docstring holds the two characters of its escape.
    """

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help with the marker that click knows."""
        self.help = (self.help or "").replace("\\b", "\b")
        super().format_help_text(ctx, formatter)


class Commands(Command, click.Group):
    """A group whose commands end with a message and exit code 1, without a traceback, on an error of this package."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        """Run the command."""
        gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
        try:
            return super().invoke(ctx)
        except SegmentationError as error:
            fail(str(error))
        finally:
            # the process ends, and searching what its modules hold would take half a second more
            gc.freeze()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segmentation-pipeline")
def main() -> None:
    r"""Make customer segments that keep their meaning.

    \b
    Example, from a table of customers to their segments:
      segmentation init customers --table public.customers --key customer_id
      segmentation run customers
      segmentation status customers
    """


def find_user() -> str:
    """Return the name of the person at the keyboard, which is kept with their decisions."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def segmentations() -> "dict[str, SegmentationContext]":
    """Return every segmentation by its name."""
    from segmentation_pipeline.orchestration import discovery

    gc.freeze()  # what the imports made stays, so it is not searched for garbage
    return discovery.segmentations()


def segmentation_named(name: str) -> "SegmentationContext":
    """Return the segmentation of that name.

    Raises:
        click.UsageError: there is none.
    """
    found = segmentations()
    if name not in found:
        message = f"no segmentation is called {name!r}; there is {', '.join(sorted(found)) or 'no segmentation yet'}"
        raise click.UsageError(message)
    return found[name]


def fail(message: str) -> NoReturn:
    """End with the message and exit code 1."""
    click.echo(f"Error: {message}", err=True)
    sys.exit(1)
