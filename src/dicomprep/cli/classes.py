"""`dicomprep classes`: `list`, `rename`, `merge`, `order`, `hide` and `show`."""

from collections import Counter

from cyclopts import App

from dicomprep.cli.console import print_table, printable
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.audit import count_classes
from dicomprep.database.queries.classes import class_names, classes_of, labeled_classes, list_classes
from dicomprep.database.writes.classes import Followed, hide_class, merge_class, order_classes, rename_class
from dicomprep.web.names import check_new_name
from dicomprep.workspace import Workspace

__all__ = ["classes"]

classes = App(name="classes", help="List, rename, merge, order or hide the classes of labels.")


@classes.command(name="list")
def list_(*, db: Db = DEFAULT_DB) -> int:
    """List the classes in the order of the labeling page, with the number of images that have each."""
    with Workspace.open(db).reading() as connection:
        listed = list_classes(connection)
        unlisted = [name for name in labeled_classes(connection) if name not in {one.name for one in listed}]
        counts: Counter[str] = Counter()
        for label, _, count in count_classes(connection):
            counts.update(dict.fromkeys(classes_of(label), count))
    hidden = {one.name for one in listed if one.is_hidden}
    names = [*(one.name for one in listed), *unlisted]
    print_table("Images by class", {f"{name} (hidden)" if name in hidden else name: counts[name] for name in names})
    if not names:
        print("No classes yet: `dicomprep label --classes A,B` or `dicomprep labels import FILE` adds some.")
    return 0


@classes.command
def rename(name: str, new_name: str, *, annotator: str = "me", db: Db = DEFAULT_DB) -> int:
    """Rename a class: labels of images, series, studies and patients, annotations and predictions follow.

    Versions that were frozen keep the name that the class had. Rename it back to take this back.

    Parameters
    ----------
    name
        The class.
    new_name
        Its new name; that of no other class.
    annotator
        Who does it, for the log.

    """
    with Workspace.open(db).writing() as store, store.transaction() as connection:
        new_name = check_new_name(name, new_name, [*class_names(connection), *labeled_classes(connection)])
        followed = rename_class(connection, name, new_name, annotator=annotator)
    print(f"Renamed {printable(name)} to {printable(new_name)}: {_describe(followed)}.")
    return 0


@classes.command
def merge(name: list[str], *, into: str, annotator: str = "me", dry_run: Flag = False, db: Db = DEFAULT_DB) -> int:
    """Merge classes into another one. It cannot be taken back: `dicomprep freeze NAME` keeps the labels as they are.

    Labels of images, series, studies and patients, and annotations have the other class then. Of two scores of one
    model for one image the greater one stays.

    Parameters
    ----------
    name
        The classes that will be no more.
    into
        The class that has their labels.
    annotator
        Who does it, for the log.
    dry_run
        Only show what would be done.

    """
    with Workspace.open(db).writing() as store, store.transaction() as connection:
        for one in name:
            followed = merge_class(connection, one, into, annotator=annotator)
            verb = "Would merge" if dry_run else "Merged"
            print(f"{verb} {printable(one)} into {printable(into)}: {_describe(followed)}.")
        if dry_run:
            connection.rollback()
    return 0


@classes.command
def order(name: list[str], *, annotator: str = "me", db: Db = DEFAULT_DB) -> int:
    """Put classes in an order on the pages. Class numbers of data sets and exports stay as they are.

    Parameters
    ----------
    name
        The classes that come first, in their order; the others come behind them as they were.
    annotator
        Who does it, for the log.

    """
    with Workspace.open(db).writing() as store, store.transaction() as connection:
        order_classes(connection, name, annotator=annotator)
        listed = list_classes(connection)
    print(", ".join(printable(one.name) for one in listed))
    return 0


@classes.command
def hide(name: str, *, annotator: str = "me", db: Db = DEFAULT_DB) -> int:
    """Offer a class no longer on the labeling page. Labels, data sets and exports keep it.

    Parameters
    ----------
    name
        The class.
    annotator
        Who does it, for the log.

    """
    return _hide(name, annotator, db, hidden=True)


@classes.command
def show(name: str, *, annotator: str = "me", db: Db = DEFAULT_DB) -> int:
    """Offer a hidden class again.

    Parameters
    ----------
    name
        The class.
    annotator
        Who does it, for the log.

    """
    return _hide(name, annotator, db, hidden=False)


def _hide(name: str, annotator: str, db: str, *, hidden: bool) -> int:
    with Workspace.open(db).writing() as store, store.transaction() as connection:
        hide_class(connection, name, hidden=hidden, annotator=annotator)
    print(f"{printable(name)} is {'hidden' if hidden else 'shown'} on the labeling page.")
    return 0


def _describe(followed: Followed) -> str:
    counts = (
        (followed.labels, "label of images", "labels of images"),
        (followed.unit_labels, "label of series, studies and patients", "labels of series, studies and patients"),
        (followed.annotations, "annotation", "annotations"),
        (followed.predictions, "score of a model", "scores of models"),
    )
    said = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join(said) or "nothing is labeled with it"
