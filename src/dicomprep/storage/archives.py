"""What is called like an archive. None is opened: what it holds is for its owner to unpack."""

__all__ = ["is_archive"]

SUFFIXES = (
    *(".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".7z", ".rar"),
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4", ".dcm.gz"),
)


def is_archive(name: str) -> bool:
    """Whether a file is called like an archive or a compressed file.

    >>> is_archive("export/Study 1.ZIP")
    True
    >>> is_archive("1.2.840.113619.2.5")
    False
    """
    return name.lower().endswith(SUFFIXES)
