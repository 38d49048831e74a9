"""SELECTs that the step `sql` has to refuse: other statements, functions in FROM, files, names that look alike."""

ATTACKED = r"""
SELECT * FROM read_csv('/etc/passwd') ;; SELECT * FROM read_text('/etc/passwd') ;; SELECT * FROM '/etc/passwd'
SELECT * FROM "/etc/passwd" ;; SELECT * FROM input, '/etc/passwd' ;; SELECT * FROM glob('*') ;; FROM duckdb_secrets()
SELECT * FROM input JOIN read_parquet('x') ON TRUE ;; SELECT * FROM parquet_scan('x') ;; SELECT * FROM range(9)
SELECT * FROM generate_series(1, 9) ;; SELECT * FROM input, LATERAL (SELECT getenv('A') AS a) AS b
SELECT * FROM (SELECT * FROM read_csv('x')) AS x ;; WITH x AS (SELECT * FROM read_csv('x')) SELECT * FROM x
WITH x AS (FROM '/etc/passwd') FROM x ;; WITH "/etc/passwd" AS (SELECT 1 AS a FROM input) SELECT a FROM input
WITH input AS (SELECT 1 AS a FROM raw.airports) SELECT a FROM input
WITH RECURSIVE x AS (SELECT 1 AS a FROM input UNION ALL SELECT a + 1 AS a FROM x) SELECT a FROM x
SELECT id FROM input WHERE id IN (SELECT id FROM read_csv('x')) ;; SELECT getenv('HOME') AS home FROM input
SELECT id FROM input WHERE EXISTS (SELECT 1 AS a FROM 'x.csv')
SELECT (SELECT content FROM read_text('x')) AS a FROM input ;; SELECT id FROM input; DROP TABLE raw.airports
SELECT id FROM input; SELECT 1 ;; SELECT id INTO other FROM input ;; COPY input TO '/tmp/x'
COPY (SELECT id FROM input) TO '/tmp/x.csv' ;; INSERT INTO raw.airports SELECT * FROM input
CREATE TABLE x AS SELECT id FROM input ;; ATTACH '/tmp/x.db' ;; DETACH w ;; INSTALL httpfs ;; LOAD httpfs
PRAGMA database_list ;; SET memory_limit = '1GB' ;; RESET memory_limit ;; CALL pragma_version() ;; EXPLAIN FROM input
DESCRIBE input ;; SUMMARIZE input ;; SHOW TABLES ;; EXPORT DATABASE 'x' ;; DELETE FROM raw.airports
UPDATE raw.airports SET k = 1 ;; TRUNCATE raw.airports ;; DROP TABLE raw.airports ;; ALTER TABLE raw.airports DROP k
MERGE INTO raw.airports USING input ON TRUE WHEN MATCHED THEN DELETE ;; VALUES (1) ;; SELECT 1 AS a
PIVOT input ON k USING sum(v) ;; SELECT * FROM input PIVOT (sum(v) FOR k IN ('a'))
UNPIVOT input ON id INTO NAME a VALUE b ;; SELECT * FROM input TABLESAMPLE 10% ;; SELECT COLUMNS(*) FROM input
SELECT COLUMNS('i.*') FROM input ;; SELECT * FROM information_schema.tables ;; SELECT * FROM pg_catalog.pg_tables
SELECT * FROM system.main.duckdb_settings ;; SELECT * FROM w.raw.airports ;; SELECT * FROM other
SELECT * FROM sqlite_master ;; SELECT * FROM temp.x ;; SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('input') ;; SELECT * FROM json_execute_serialized_sql('x')
SELECT * FROM postgres_scan('x', 'y', 'z') ;; SELECT * FROM sqlite_scan('x', 'y') ;; SELECT * FROM delta_scan('x')
SELECT * FROM input WINDOW w AS (ORDER BY id) ;; SELECT id FROM input LIMIT 10% ;; SELECT id FROM input FOR UPDATE
SELECT id FROM input WHERE k = ? ;; SELECT id FROM input WHERE k = $1 ;; SELECT random() AS r FROM input
SELECT current_setting('home_directory') AS a FROM input ;; SELECT nextval('s') AS a FROM input ;; SELECT a.* FROM a
SELECT /* x */ read_blob('/etc/passwd') AS a FROM input ;; SELECT id FROM input -- ; DROP
FROM input SELECT getenv('A') AS a ;; SELECT id FROM input GROUP BY getenv('A')
SELECT id FROM input ORDER BY getenv('A') ;; SELECT id FROM input LIMIT getenv('A')
SELECT id FROM input HAVING getenv('A') = 'x' ;; SELECT id FROM input QUALIFY getenv('A') = 'x'
SELECT id FROM input JOIN raw.airports ON getenv('A') = 'x' ;; SELECT * REPLACE (getenv('A') AS id) FROM input
SELECT DISTINCT ON (getenv('A')) id FROM input ;; SELECT sum(id) FILTER (WHERE getenv('A') = 'x') AS s FROM input
SELECT id FROM input UNION SELECT getenv('A') AS id FROM input ;; SELECT unnest([1]) AS a FROM input
SELECT id FROM input EXCEPT SELECT a FROM read_csv('x') ;; (SELECT id FROM input) ;; SELECT ＊ FROM input
SELECT id FROM "raw.airports" ;; SELECT id FROM input AS "x.csv", "x.csv" ;; ＳＥＬＥＣＴ id ＦＲＯＭ input
SELECT id FROM іnput
"""  # noqa: RUF001
