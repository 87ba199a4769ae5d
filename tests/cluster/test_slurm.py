"""Runs whose workers are jobs of a real SLURM: the same as without."""

from pathlib import Path

from tests.cluster.disturbing import JOBS
from tests.cluster.slurm import Slurm
from tests.running import Place, cli, make_files

KEY = f"{bytes(range(32)).hex()}\n"
VIEWS = (
    "SELECT filename, study_id, split, modality, patient_key, width, height FROM images ORDER BY 1",
    "SELECT study_key, series_key, patient_key, split FROM tags ORDER BY 1, 2",
    "SELECT path, status, error_code, error_detail, frames, attempts FROM inputs ORDER BY 1",
)


def write_jobs(folder: Path, **more: object) -> None:
    """The table [cluster] of a folder."""
    lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in (JOBS | more).items()]
    (folder / "dicomprep.toml").write_text("\n".join(["[cluster]", *lines]) + "\n", encoding="utf-8")


def test_two_jobs_do_what_this_machine_does(in_slurm: Slurm, tmp_path: Path) -> None:
    """Byte for byte, encrypted, by the command line and its table [cluster]; the jobs are given back."""
    local, cluster = Place(tmp_path / "local"), Place(tmp_path / "cluster")
    make_files(local.source, *(f"Ä {number % 3}/Bild {number}.dcm" for number in range(40)), "cine/c.dcm:70")
    (local.source / "Ä 0" / "bad.dcm").write_bytes(b"no DICOM at all")
    for place in (local, cluster):
        place.base.mkdir(exist_ok=True)
        place.db.with_name("x.db.key").write_text(KEY, encoding="ascii")
    local.run()
    write_jobs(tmp_path)
    where = ("--db", cluster.db, "--output-dir", cluster.output, "--size", 16)
    done = cli(tmp_path, "preprocess", local.source, *where, "--cluster", "slurm", "--tls", timeout=120)
    assert done.returncode == 0, done.stderr
    assert "came; now" in done.stderr  # one job may have done it all before the other came
    assert in_slurm.has_ended(20)
    cluster.check()
    assert cluster.images() == local.images()
    for view in VIEWS:
        assert cluster.rows(view) == local.rows(view)
    assert "finished on Dask (slurm)" in cli(tmp_path, "status", "--db", cluster.db).stdout
    assert not list(tmp_path.glob(".dask*"))


def test_jobs_that_are_not_taken_are_one_sentence(in_slurm: Slurm, tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm")
    write_jobs(tmp_path, queue="absent")
    done = cli(tmp_path, "preprocess", place.source, "--cluster", "slurm")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "the slurm cluster takes no jobs" in done.stderr
    assert "Invalid partition name" in done.stderr
    assert in_slurm.jobs() == []
