"""What `--json` prints is what docs/output.schema.json says."""

import json
from pathlib import Path
from typing import Any

from tests.building import make_dicom
from tests.running import PROJECT, Place, cli, make_files

SCHEMA = json.loads((PROJECT / "docs" / "output.schema.json").read_text())["$defs"]
KINDS: dict[str, type | tuple[type, ...]] = {
    **{"object": dict, "array": list, "string": str, "boolean": bool},
    **{"integer": int, "number": (int, float), "null": type(None)},
}


def require(value: Any, schema: dict[str, Any]) -> None:
    """The few words of JSON Schema that ours has."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, KINDS[kind]) for kind in kinds), (value, schema)
    for item in value if isinstance(value, list) else ():
        require(item, schema["items"])
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema["additionalProperties"]
        assert set(schema.get("required", ())) <= set(value)
        for name, one in value.items():
            assert name in known or others, name
            require(one, known.get(name, others))


def test_commands_print_json_for_scripts_and_sentences_apart(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "s/a.dcm", "s/b.dcm:3")
    make_dicom(place.source / "s/mr.dcm", modality="MR")
    (place.source / "false.dcm").write_text("no DICOM")
    given = ("--output-dir", "out", "--db", place.db, "--workers", 1, "--size", 16)
    done = cli(tmp_path, "preprocess", "in", *given, "--json")
    (line,) = done.stdout.splitlines()
    run = json.loads(line)
    require(run, SCHEMA["run"])
    assert "SUMMARY" in done.stderr
    assert run["found"] == run["unchanged"] + sum(run["statuses"].values()) == 4
    assert (run["exit_code"], run["error_codes"], run["images"]) == (0, {"not_dicom": 1}, 5)
    again = cli(tmp_path, "retry", "--db", place.db, "--workers", 1, "--json")
    require(json.loads(again.stdout), SCHEMA["run"])
    status = json.loads(cli(tmp_path, "status", "--db", place.db, "--json").stdout)
    require(status, SCHEMA["status"])
    assert status["images_by_split"] == run["images_by_split"]
    rows = cli(tmp_path, "series", "--db", place.db, "--json").stdout.splitlines()
    assert rows
    for row in rows:
        require(json.loads(row), SCHEMA["series"])
