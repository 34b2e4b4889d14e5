-- Everything a results folder knows, in one SQLite file. The version is kept in PRAGMA user_version.

-- One row a cell. `position` gives the order of first insertion; a cell that is run again keeps its place.
CREATE TABLE record (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    cell        TEXT NOT NULL UNIQUE,   -- key of the cell, hex
    suite       TEXT NOT NULL,          -- the suite that asked for it
    description TEXT NOT NULL,          -- hash of what was asked for, without code and data
    inputs      TEXT NOT NULL,          -- JSON: the code and data that made it
    status      TEXT NOT NULL,          -- as in the record
    text        TEXT NOT NULL,          -- the record: canonical JSON, ASCII
    digest      TEXT                    -- of the six before it; NULL where an older version wrote the row
);

CREATE INDEX record_description ON record (description);

-- Raw time of every step of a pretraining, float32 little-endian milliseconds, in the order of the steps.
CREATE TABLE steps (
    pretraining TEXT PRIMARY KEY,
    ms          BLOB NOT NULL,
    digest      TEXT                    -- of both
);
