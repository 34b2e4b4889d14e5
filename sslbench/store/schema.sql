-- Everything a results folder knows, in one SQLite file. The version is kept in PRAGMA user_version.

-- One row a cell. `position` gives the order of first insertion; a cell that is run again keeps its place.
CREATE TABLE IF NOT EXISTS record (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    cell        TEXT NOT NULL UNIQUE,   -- key of the cell, hex
    suite       TEXT NOT NULL,          -- the suite that asked for it
    description TEXT NOT NULL,          -- hash of what was asked for, without code and data
    inputs      TEXT NOT NULL,          -- JSON: the code and data that made it
    status      TEXT NOT NULL,          -- as in the record
    text        TEXT NOT NULL,          -- the record: canonical JSON, ASCII
    digest      TEXT                    -- of the six before it; NULL where an older version wrote the row
);

CREATE INDEX IF NOT EXISTS record_description ON record (description);

-- What runs asked for last, in the order of asking: of one description, a row for each content of the data and for each
-- working folder. The record with this cell is the current one, or will be when it is made.
CREATE TABLE IF NOT EXISTS asked (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    description TEXT NOT NULL,          -- as of the record
    content     TEXT NOT NULL,          -- fingerprints of the data and of the files that the method reads
    place       TEXT NOT NULL,          -- hash of the working folder
    cell        TEXT NOT NULL,          -- key of the record
    suite       TEXT NOT NULL,
    source      TEXT NOT NULL,          -- the suite's file, or its name where it is built in
    command     TEXT,                   -- in words of a shell; NULL where no command line asks for the same
    time        TEXT,                   -- of asking, UTC; NULL where an older version wrote the row
    digest      TEXT                    -- of the others; NULL where an older version wrote the row
);

CREATE INDEX IF NOT EXISTS asked_description ON asked (description);

-- Raw time of every step of a pretraining, float32 little-endian milliseconds, in the order of the steps.
CREATE TABLE IF NOT EXISTS steps (
    pretraining TEXT PRIMARY KEY,
    ms          BLOB NOT NULL,
    digest      TEXT                    -- of both
);
