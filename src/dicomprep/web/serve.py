"""Starting the labelling page on this machine."""

from pathlib import Path

from dicomprep.database import queries
from dicomprep.database.connect import connect, database_folder, migrate, reading
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.web.application import LabelSettings, label_application

__all__ = ["serve_labels"]

HOST = "127.0.0.1"


def serve_labels(db: str, *, classes: str, annotator: str, port: int) -> None:
    """Serve the page until it is interrupted. Raises ConfigError, LabelError or EnvironmentFault before it starts."""
    import socket

    import uvicorn

    engine = connect(db, must_exist=True)
    migrate(engine)
    with reading(engine) as connection:
        recorded, count = queries.output_dir(connection), queries.count_frames(connection)
    engine.dispose()
    if recorded is None or count == 0:
        raise ConfigError(f"The database {db} holds no image yet; `dicomprep preprocess DICOM_DIR` makes them.")
    output_dir = (database_folder(db) or Path()) / recorded
    names = tuple(name.strip() for name in classes.split(",") if name.strip())
    application = label_application(LabelSettings(db, output_dir, names, annotator, port))
    try:
        with socket.create_server((HOST, port)):
            pass
    except OSError as error:
        raise EnvironmentFault(f"Port {port} cannot be used ({error.strerror}); choose another with --port.") from error
    print(f"{count:,} images to label: http://{HOST}:{port}   (Ctrl-C ends)", flush=True)
    uvicorn.run(application, host=HOST, port=port, log_level="warning")
