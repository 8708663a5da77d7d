
-- What Debian's PostgreSQL has beside the types of every build: XML, and the contrib extensions.
create extension hstore;
create extension citext;
create extension ltree;
create extension isn;
create extension cube;
create extension intarray;
create extension "uuid-ossp";
create domain tag as hstore;
create table of_extensions (
    id citext primary key, c_xml xml, c_hstore hstore, c_citext citext, c_ltree ltree, c_lquery lquery, c_isbn isbn, c_ean13 ean13, c_cube cube,
    c_query_int query_int, c_tag tag, c_xmls xml[], c_hstores hstore[], c_citexts citext[], c_ltrees ltree[], c_isbns isbn[], c_cubes cube[]
);
insert into of_extensions (id) values ('null');
insert into of_extensions values
('Some', '<a href="x">ü</a>', '"a b"=>"1", c=>NULL, "q\"uote\\"=>", ", "ü😀"=>""', 'Mixed', 'Top.Science.Astronomy', 'Top.*{0,2}', '978-0-393-04002-9', '978-0-393-04002-9', '(1,2),(3,4)',
    '1&(2|3)', 'a=>b', array['<a/>', null]::xml[], array['a=>1', null, 'b=>NULL']::hstore[], '{A,NULL,"b c"}', '{a.b,c}', '{978-0-393-04002-9,NULL}', array['(1)', null]::cube[]),
('', 'plain', '', '', '', '*', '0-393-04002-X', '0393040029996', '1', '1', '', '{}', '{}', '{}', '{}', '{}', '{}'),
(' comment ', '<!-- c --><b/>', 'b=>2, a=>1, aa=>3', ' ', 'a', 'a', null, null, null, null, null, null, null, null, null, null, null);
insert into of_extensions (id, c_ltrees, c_isbns, c_citexts, c_hstores) values
('without NULL', '{a.b,c}', '{0-393-04002-X}', '{a}', array[(select hstore(array_agg('key ' || n), array_agg('v'::text)) from generate_series(1, 60) n)]),
('a NULL', '{a,NULL}', '{NULL}', '{NULL}', array[null, hstore('Aa', '1') || hstore('BB', '2') || hstore('C#', chr(1) || chr(127) || '"')]);
create table keyed_by_extensions (h hstore, l ltree, t text, primary key (l, h));
insert into keyed_by_extensions values ('a=>1', 'a.b', 'x');
