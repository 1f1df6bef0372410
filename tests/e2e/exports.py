"""Reads an export of connector-host with Python's strict CSV reader, and checks its references in SQL.

Arguments: the folder of `balkanid`, the folder of `csv`, the file of `sqlite`. Prints counts as JSON.
"""

import csv
import json
import pathlib
import sqlite3
import sys

balkanid, views, store = map(pathlib.Path, sys.argv[1:])
csv.field_size_limit(10_000_000)
database = sqlite3.connect(":memory:")
found = {"columns": {}, "rows": {}}


def load(file, prefix):
    with file.open(newline="", encoding="utf-8") as text:
        rows = csv.reader(text, strict=True)
        columns = next(rows)
        table = prefix + file.stem
        database.execute(f'CREATE TABLE "{table}" ({", ".join(json.dumps(name) for name in columns)})')
        marks = ", ".join("?" * len(columns))
        database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
        found["columns"][table] = columns
        found["rows"][table] = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


for name in ["entities", "entity_relations", "entitlements"]:
    load(balkanid / f"{name}.csv", "")
for file in sorted(views.glob("*.csv")):
    load(file, "view_")

one = lambda query: database.execute(query).fetchone()[0]
end = lambda key, kind: one(
    f'SELECT count(*) FROM entity_relations r WHERE NOT EXISTS (SELECT 1 FROM entities e '
    f'WHERE e.App = r.App AND e."Source ID" = r."{key}" AND e."Entity Type" = r."{kind}")'
)
found["dangling"] = [end("Parent Entity Source ID", "Parent Entity Type"), end("Entity Source ID", "Entity Type")]
found["ambiguous"] = one(
    'SELECT count(*) FROM (SELECT 1 FROM entities GROUP BY App, "Entity Type", "Source ID" HAVING count(*) > 1)'
)
found["blank"] = one(
    'SELECT count(*) FROM entities WHERE "Name" = \'\' OR "Source System" = \'\' OR "Source ID" = \'\' OR "Source Type" = \'\''
)
found["entity_types"] = [row[0] for row in database.execute('SELECT DISTINCT "Entity Type" FROM entities ORDER BY 1')]
found["values"] = [row[0] for row in database.execute('SELECT DISTINCT "Privilege Value" FROM entitlements ORDER BY 1')]
found["nobody"] = one('SELECT count(*) FROM entitlements WHERE "User ID" = \'\' OR "Privilege Name" = \'\'')
found["through"] = one(
    'SELECT count(*) FROM entitlements WHERE "Connection" <> \'\' AND "Resource Type" = \'application\''
)
for (metadata,) in database.execute("SELECT Metadata FROM entities UNION ALL SELECT Metadata FROM entity_relations"):
    assert isinstance(json.loads(metadata), dict)

copy = sqlite3.connect(store)


def is_damage(message):
    # SQLite 3.40 reports a null in each sound table WITHOUT ROWID whose key is not its first columns: count the nulls.
    if message == "ok":
        return False
    if not message.startswith("NULL value in "):
        return True
    table, column = message.removeprefix("NULL value in ").split(".")
    return copy.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}" IS NULL').fetchone()[0] > 0


found["damage"] = [row[0] for row in copy.execute("PRAGMA integrity_check(1000000)").fetchall() if is_damage(row[0])]
found["stored"] = copy.execute("SELECT count(*) FROM entities").fetchone()[0]
found["stored_access"] = copy.execute("SELECT count(*) FROM application_access").fetchone()[0]
print(json.dumps(found))
