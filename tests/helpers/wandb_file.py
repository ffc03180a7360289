"""Reads the file W&B writes offline: protobuf records in LevelDB's log format."""

import json
import struct
import time
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_records(file: Path) -> list[Record]:
    """Every whole record of one `.wandb` file, in order; the last may be cut short by a kill."""
    content, position = file.read_bytes(), 7  # after the file's own header
    assert content[:4] == b":W&B"
    records, parts = [], b""
    while position + 7 <= len(content):
        if BLOCK - position % BLOCK < 7:  # too little left in the block for another header
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        if position + 7 + length > len(content):
            break
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (FULL, LAST):
            records.append(Record.FromString(parts))
            parts = b""
    return records


def offline_records(folder: Path, patience: float = 30.0) -> list[Record]:
    """The records of all offline runs below a folder, in the order they were started.

    W&B's own process may still be writing when `finish` returns: a file is whole once it has its exit record.
    """
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        runs = [read_records(file) for file in files]
        if all(any(record.HasField("exit") for record in records) for records in runs):
            break
        time.sleep(0.05)
    return [record for records in runs for record in records]


def values(items) -> dict:
    """{key: value} of W&B's key-value items."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def history(records: list[Record]) -> list[dict]:
    """Each logged row."""
    return [values(record.history.item) for record in records if record.HasField("history")]
