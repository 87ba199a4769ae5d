"""`dicomprep label`."""

from dicomprep.commands.options import DEFAULTS

__all__ = ["label"]


def label(
    *,
    db: str = DEFAULTS.db,
    classes: str = "normal,abnormal",
    annotator: str = "me",
    port: int = 5001,
) -> int:
    """Label the images in the browser, one key for each class.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    classes
        Names to choose from, separated by commas.
    annotator
        Whose labels these are.
    port
        Where the page is: http://127.0.0.1:PORT.

    """
    from dicomprep.web.serve import serve_labels

    serve_labels(db, classes=classes, annotator=annotator, port=port)
    return 0
