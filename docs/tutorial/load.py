"""Run club.sql on the database of SEGMENTATION_DATABASE_URL, or on the embedded one: python docs/tutorial/load.py."""

from pathlib import Path

import psycopg

from segmentation_pipeline.storage.warehouse.postgres.connection import resolve_url

with psycopg.connect(resolve_url()) as connection:
    connection.execute(Path(__file__).with_name("club.sql").read_text())
    counted = connection.execute("SELECT (SELECT count(*) FROM club.members), (SELECT count(*) FROM club.purchases)")
    members, purchases = counted.fetchone() or (0, 0)
print(f"club.members has {members:,} rows, club.purchases {purchases:,}")
