"""Expressions for the tests of core.expression: those that must pass, and attacks that must not."""

TABLE = """
CREATE TABLE input AS SELECT * FROM (VALUES
  (1::BIGINT, 10::INTEGER, 2.5::DOUBLE, 1.10::DECIMAL(10,2), 'Ada Lovelace', TRUE, DATE '2013-01-31',
   TIMESTAMP '2013-01-31 23:59:58.5', [3, 1, 2], {'city': 'New York', 'zip': '10001'}, MAP {'k': 1},
   '{"x": "y", "n": {"m": [1, 2]}}'::JSON, 'it''s "quoted"'),
  (2, NULL, -0.5, NULL, 'ünïcödé', FALSE, DATE '2012-02-29', TIMESTAMP '2012-02-29 00:00:00', [], NULL, NULL,
   '{"x": null}'::JSON, ''),
  (3, -7, 0.0, 99.99, NULL, NULL, NULL, NULL, NULL, {'city': NULL, 'zip': 'x'}, MAP {}, NULL, 'a.b')
) AS t(id, n, f, d, s, b, day, ts, l, addr, m, j, q)
"""
COLUMNS = ["id", "n", "f", "d", "s", "b", "day", "ts", "l", "addr", "m", "j", "q"]

LEGITIMATE = r"""
n + 1 ;; n - -1 ;; -n * 2 ;; f / 3 ;; n // 2 ;; n % 3 ;; -7 % 3 ;; id & 3 | 8 ;; id << 2 ;; ~id ;; xor(id, 3)
pow(n, 2) ;; abs(n) ;; round(f, 1) ;; ceil(f) ;; floor(f) ;; greatest(n, id) ;; least(n, id, 0) ;; sqrt(id)
mod(n, 4) ;; 1e3 + .5 ;; 1_000 ;; 5. ;; NULL ;; TRUE ;; s || '!' ;; upper(s) ;; lower(trim(s))
trim(both 'A' from s) ;; trim(s, 'A') ;; ltrim(s) ;; lpad(s, 20, '*') ;; substring(s, 2, 3)
substring(s from 2 for 3) ;; left(s, 3) ;; position('L' in s) ;; strpos(s, 'L') ;; length(s) ;; replace(s, 'a', 'o')
split_part(s, ' ', 2) ;; string_split(s, ' ') ;; concat(s, NULL, 'x') ;; concat_ws('-', s, q) ;; contains(s, 'da')
starts_with(s, 'A') ;; reverse(s) ;; strip_accents(s) ;; chr(65) ;; ascii(s) ;; format('{}-{}', id, s)
printf('%05d', id) ;; levenshtein(s, 'Ada') ;; jaro_winkler_similarity(s, 'Ada') ;; translate(s, 'A', 'E') ;; hex(id)
regexp_matches(s, '^A') ;; regexp_full_match(s, '[A-Za-z ]+') ;; regexp_extract(s, '(\w+) (\w+)', 2)
regexp_replace(s, '[aeiou]', '#', 'g') ;; regexp_extract_all(s, '[A-Z]') ;; regexp_split_to_array(s, '\s') ;; md5(s)
sha256(s) ;; hash(s) ;; sha1(s) ;; md5_number(s) ;; s LIKE 'A%' ;; s NOT LIKE '%x' ;; s ILIKE 'ada%'
q LIKE 'a!.%' ESCAPE '!' ;; s SIMILAR TO 'A.*' ;; s GLOB 'A*' ;; s = 'Ada Lovelace' ;; s <> 'x' ;; n != 10
n >= 0 AND f < 3 OR b ;; NOT b ;; not n = 10 or b ;; b IS TRUE ;; b IS NOT FALSE ;; n IS NULL ;; n is not null
n isnull ;; n notnull ;; n IS DISTINCT FROM 10 ;; n is not distinct from null ;; n BETWEEN 1 AND 10
n NOT BETWEEN 1 AND 10 AND id > 0 ;; id IN (1, 2) ;; id not in (1, 2) ;; 3 IN l ;; (id, n) IN ((1, 10))
CASE WHEN n > 0 THEN 'pos' WHEN n < 0 THEN 'neg' ELSE 'none' END ;; CASE id WHEN 1 THEN 'one' END || 'x'
if(b, 1, 2) ;; coalesce(n, f, 0) ;; nullif(n, 10) ;; ifnull(n, 0) ;; try(CAST(s AS INTEGER)) ;; typeof(d)
CAST(n AS DOUBLE) ;; n::varchar ;; try_cast(s AS INTEGER) ;; d::decimal(18, 4) ;; '5'::int + 1 ;; l::varchar[]
n::hugeint ;; '{"a": 1}'::json ;; q::blob ;; {'a': n, 'b': s} ;; {'a': n}.a ;; addr.city ;; addr['zip'] ;; (addr).city
row(id, n) ;; day + 1 ;; day + INTERVAL 1 MONTH ;; ts - INTERVAL '90 minutes' ;; ts + INTERVAL (id) HOUR
day - DATE '2013-01-01' ;; date_trunc('month', ts) ;; date_diff('day', day, DATE '2014-01-01')
datediff('week', day, ts::date) ;; date_part('dow', day) ;; extract(year FROM day) ;; extract('month' from ts)
year(day) ;; dayname(day) ;; last_day(day) ;; isodow(day) ;; epoch(ts) ;; epoch_ms(ts) ;; epoch_us(ts)
make_date(2013, 1, id::int) ;; make_timestamp(2013, 1, 2, 3, 4, 5.5) ;; strftime(ts, '%Y-%m-%d %H')
strptime('2013-02-01', '%Y-%m-%d') ;; try_strptime(s, '%Y') ;; age(ts, TIMESTAMP '2000-01-01')
time_bucket(INTERVAL 1 DAY, ts) ;; ts AT TIME ZONE 'UTC' ;; to_timestamp(id) ;; date_add(day, INTERVAL 1 DAY)
date_sub('month', day, DATE '2014-01-01') ;; datetrunc('year', day) ;; monthname(day) ;; to_days(id::int)
make_timestamp(1000000) ;; l[1] ;; l[-1] ;; l[1:2] ;; [n, id] ;; len(l) ;; list_sort(l)
list_sort(l, 'DESC', 'NULLS FIRST') ;; list_reverse_sort(l) ;; list_contains(l, 3)
list_transform(l, lambda x: x + id) ;; list_filter(l, x -> x > 1) ;; list_sum(l) ;; list_distinct(l)
list_reduce([1, 2, 3], lambda a, c: a + c) ;; array_to_string(l, ',') ;; flatten([l, l]) ;; list_value(1, 2)
l || [9] ;; list_apply(l, lambda x: list_transform([x], lambda y: y * 2)) ;; list_concat(l, [1])
list_has_any(l, [1]) ;; list_slice(l, 1, 2) ;; array_append(l, 4) ;; list_prepend(0, l) ;; list_zip(l, l)
array_position(l, 1) ;; list_max(l) ;; list_select(l, [1]) ;; m['k'] ;; map_keys(m) ;; map_values(m) ;; MAP {'a': n}
map(['a'], [n]) ;; cardinality(m) ;; element_at(m, 'k') ;; map_entries(m) ;; j ->> 'x' ;; j -> '$.n' ->> '$.m[0]'
(j ->> 'x') = 'y' ;; json_extract(j, '$.n.m') ;; json_extract_string(j, '$.x') ;; json_array_length(j, '$.n.m')
json_keys(j) ;; to_json(addr) ;; json_type(j) ;; json_valid(s) ;; json_array(id, s) ;; j ->> '$.n.m[1]'
json_extract(j, ['$.x', '$.n']) ;; json(j) ;; json_exists(j, '$.x') ;; json_merge_patch(j, '{"z": 1}') ;; encode(s)
decode(q::blob) ;; "id" + 1 ;; ID ;; "Id" ;; id /* a note */ + 1 ;; id -- the end
(SELECTED_NOT_A_KEYWORD IS NULL) IS NULL ;; '--' || '/*' ;; 'a;b' ;; '\' ;; '''' ;; "id"::varchar || '"'
row_number() OVER (ORDER BY id DESC) ;; sum(n) OVER (PARTITION BY b ORDER BY id) ;; lag(n, 1, 0) OVER (ORDER BY id)
avg(f) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ;; rank() OVER (ORDER BY b NULLS FIRST)
count(*) OVER () ;; max(n) OVER (PARTITION BY b) ;; first_value(s) OVER (ORDER BY id) ;; ntile(2) OVER (ORDER BY id)
sum(n) FILTER (WHERE n > 0) OVER ()
sum(id) OVER (ORDER BY day RANGE BETWEEN INTERVAL 1 YEAR PRECEDING AND CURRENT ROW EXCLUDE TIES)
"""
AGGREGATES = r"""
count(*) ;; count(DISTINCT b) ;; sum(n) ;; avg(f) ;; min(s) ;; max(day) ;; min(id, 2)
string_agg(s, ',' ORDER BY id) ;; list(id ORDER BY id DESC) ;; arg_max(s, id) ;; max_by(s, id)
quantile_cont(f, 0.5) ;; median(id) ;; count(n) FILTER (WHERE b) ;; bool_and(b) ;; any_value(s)
array_agg(id ORDER BY id) ;; stddev(id) ;; mode(b) ;; quantile_disc(id, [0.25, 0.5]) ;; bit_xor(id)
approx_quantile(id, 0.5) ;; count_if(b) ;; sum(n) / count(*) ;; listagg(s, '-' ORDER BY id) ;; arg_min(id, f)
product(id)
"""

ATTACKS = r"""
SELECT 1 ;; (SELECT 1) ;; id; DROP TABLE input ;; id; ;; ; ;; FROM input ;; id FROM input ;; (FROM input)
TABLE input ;; id IN (SELECT id FROM input) ;; id IN (FROM input) ;; id = (SELECT max(id) FROM input)
EXISTS (SELECT 1) ;; EXISTS(FROM input) ;; id = ANY (SELECT 1) ;; id = ANY([1]) ;; id > ALL (SELECT 1)
id = SOME (SELECT 1) ;; NOT EXISTS (SELECT 1) ;; ARRAY(SELECT 1) ;; (VALUES (1)) ;; VALUES (1) ;; id UNION SELECT 1
id UNION ALL FROM input ;; id INTERSECT SELECT 1 ;; id EXCEPT SELECT 1 ;; (WITH x AS (SELECT 1) SELECT * FROM x)
WITH x AS (SELECT 1) SELECT 1 ;; list_value((SELECT 1)) ;; [(SELECT 1)] ;; {'a': (SELECT 1)} ;; MAP {'a': (SELECT 1)}
CASE WHEN (SELECT TRUE) THEN 1 END ;; l[(SELECT 1)] ;; coalesce(NULL, (SELECT 1)) ;; CAST((SELECT 1) AS INT)
list_transform(l, lambda x: (SELECT x)) ;; sum(id) FILTER (WHERE id IN (SELECT 1)) ;; (((SELECT 1)))
sum(id) OVER (ORDER BY (SELECT 1)) ;; id BETWEEN (SELECT 0) AND 5 ;; s LIKE (SELECT 'x') ;; INTERVAL (SELECT 1) DAY
-(SELECT 1) ;; COPY input TO 'x.csv' ;; COPY (SELECT 1) TO '/tmp/x' ;; ATTACH 'x.db' ;; DETACH x ;; INSTALL httpfs
LOAD httpfs ;; USE x ;; SET memory_limit='1GB' ;; RESET memory_limit ;; PRAGMA database_list ;; CALL pragma_version()
EXPORT DATABASE 'x' ;; IMPORT DATABASE 'x' ;; CREATE TABLE x (a INT) ;; DROP TABLE input
INSERT INTO input VALUES (1) ;; DELETE FROM input ;; UPDATE input SET id = 1 ;; TRUNCATE input
ALTER TABLE input ADD COLUMN x INT ;; EXPLAIN SELECT 1 ;; DESCRIBE input ;; SHOW TABLES
SUMMARIZE input ;; PREPARE x AS SELECT 1 ;; EXECUTE x ;; PIVOT input ON id ;; CREATE MACRO f(a) AS a ;; GRANT ALL
read_text('/etc/passwd') ;; "read_text"('/etc/passwd') ;; READ_TEXT ('/etc/passwd') ;; read_blob('/etc/passwd')
read_csv('x') ;; read_csv_auto('x') ;; read_parquet('x') ;; parquet_scan('x') ;; read_json('x') ;; read_json_auto('x')
read_ndjson('x') ;; glob('*') ;; sniff_csv('x') ;; parquet_metadata('x') ;; parquet_schema('x') ;; getenv('HOME')
"getenv"('HOME') ;; GetEnv('HOME') ;; current_setting('temp_directory') ;; current_database() ;; current_schema()
current_user ;; session_user ;; current_query() ;; current_schemas(true) ;; current_catalog ;; version()
query('SELECT 1') ;; query_table('input') ;; nextval('s') ;; currval('s') ;; duckdb_settings() ;; duckdb_secrets()
duckdb_tables() ;; pragma_version() ;; pragma_table_info('input') ;; which_secret('x', 's3') ;; sql_auto_complete('x')
http_get('http://x') ;; load_aws_credentials() ;; postgres_query('x', 'y') ;; sqlite_scan('x', 'y')
mysql_query('x', 'y') ;; iceberg_scan('x') ;; delta_scan('x') ;; json_execute_serialized_sql('x')
json_serialize_sql('SELECT 1') ;; json_deserialize_sql('x') ;; json_serialize_plan('SELECT 1') ;; getvariable('x')
set_config('a', 'b') ;; txid_current() ;; in_search_path('a', 'b') ;; pg_sleep(9) ;; sleep_ms(9) ;; error('x')
write_log('x') ;; setseed(0.5) ;; random() ;; uuid() ;; gen_random_uuid() ;; unnest([1]) ;; generate_series(1, 10)
range(1000000000) ;; repeat_row(1) ;; test_all_types() ;; checkpoint() ;; has_table_privilege('input', 'SELECT')
pg_get_viewdef(1) ;; inet_server_addr() ;; enum_range(NULL) ;; icu_sort_key('a', 'de') ;; create_sort_key(1, 'ASC')
list_aggregate(l, 'sum') ;; aggregate(l, 'sum') ;; array_resize(l, 999999999) ;; grouping(id) ;; struct_pack(a := 1)
union_value(k := 1) ;; struct_insert(addr, a := 1) ;; __internal_compress_string_utinyint('a')
system.main.getenv('HOME') ;; main.upper(s) ;; s.upper() ;; s.read_text() ;; ('/etc/passwd').read_text()
'/etc/passwd'.read_text() ;; list_transform(l, lambda x: getenv('HOME')) ;; upper(getenv('HOME'))
CASE WHEN TRUE THEN getenv('A') END ;; [getenv('A')] ;; {'a': getenv('A')} ;; MAP {'a': getenv('A')}
s || getenv('A') ;; getenv('A')::int ;; l[getenv('A')] ;; sum(id) OVER (ORDER BY getenv('A')) ;; getenv(/* x */ 'A')
/* x */ getenv('A') ;; getenv('A') -- x ;; getenv('A' ;; getenv('A')) ;; max(getenv('A')) ;; trim(getenv('A'))
substring(getenv('A'), 1) ;; position('a' in getenv('A')) ;; extract(year FROM getenv('A')) ;; try(getenv('A'))
quantile_cont(getenv('A'), 1) ;; ? ;; {{ env.SECRET }} ;; $1 ;; $name ;; :name ;; @name ;; #1 ;; id = ? ;; ${SECRET}
%s ;; * ;; input.* ;; id, n ;; COLUMNS(*) ;; COLUMNS('.*') ;; *COLUMNS(*) ;; COLUMNS(c -> c LIKE 'i%') ;; columns(id)
(* EXCLUDE (id)) ;; count(* EXCLUDE (id)) ;; upper(*) ;; [*] ;; id AS x ;; x: id ;; upper(s AS t) ;; id ORDER BY n
id LIMIT 1 ;; id WHERE b ;; id GROUP BY n ;; '/etc/passwd'::regclass ;; s::main.int ;; s::foo ;; s::ENUM('a', 'b')
CAST(s AS "my type") ;; s::UNION(a INT) ;; s::struct(a) ;; sum(id) OVER w ;; sum(id) OVER (w ORDER BY id)
first_value(s) IGNORE NULLS OVER () ;; s COLLATE nocase ;; [x + 1 for x in l] ;; s ~ '^A' ;; s !~ 'A' ;; n ^ 2
n ** 2 ;; E'\x41' ;; X'41' ;; N'a' ;; $$a$$ ;; 'a' 'b' ;; 0x1F ;; 1 = 1 = 1 OR SELECT ;; row_number()
lag(n) ;; NEXT VALUE FOR s ;; CURRENT OF c ;; id::int; -- ;; ') OR 1=1 -- ;; " OR 1=1 ;; 1) FROM input --
GROUPING SETS (id) ;; CUBE (id) ;; a.b.c.d() ;; match (s) against ('x') ;; json_object('a', getenv('A'))
xmlelement(name a) ;; convert(s USING utf8) ;; TRY_CONVERT(INT, s) ;; OVERLAY(s PLACING 'x' FROM 1)
JSON_TABLE(j, '$' COLUMNS (a INT)) ;; group_concat(getenv('A'))
"""


def lines(text: str) -> list[str]:
    """The expressions of one of the texts above."""
    return [part.strip() for line in text.strip().splitlines() for part in line.split(" ;; ")]
