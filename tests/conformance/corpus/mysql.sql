-- Every column type of MySQL, with edge values, NULLs, defaults, generated and invisible columns.

set session sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
set session time_zone = '+00:00';

-- Numbers.
create table numbers (
    id serial primary key,
    c_tinyint tinyint, c_tinyint_1 tinyint(1), c_bool bool, c_boolean boolean, c_utinyint tinyint unsigned, c_tinyint_1_u tinyint(1) unsigned,
    c_smallint smallint, c_usmallint smallint unsigned, c_mediumint mediumint, c_umediumint mediumint unsigned,
    c_int int, c_uint int unsigned, c_bigint bigint, c_ubigint bigint unsigned, c_zerofill int(6) zerofill, c_int_11 int(11),
    c_decimal decimal, c_decimal_10_2 decimal(10, 2), c_decimal_65_30 decimal(65, 30), c_dec_65_0 dec(65, 0), c_numeric_5 numeric(5), c_fixed fixed(12, 4), c_udecimal decimal(10, 2) unsigned, c_zdecimal decimal(8, 3) zerofill,
    c_float float, c_ufloat float unsigned, c_float_24 float(24), c_float_25 float(25), c_float_7_3 float(7, 3), c_double double, c_udouble double unsigned, c_real real, c_double_10_4 double(10, 4), c_double_precision double precision,
    c_bit bit, c_bit_1 bit(1), c_bit_8 bit(8), c_bit_9 bit(9), c_bit_64 bit(64), c_year year,
    c_default int not null default 42, c_default_u bigint unsigned not null default 18446744073709551615, c_default_decimal decimal(10, 3) not null default 1.5, c_default_bit bit(3) not null default b'101', c_default_null int default 7
);
insert into numbers () values ();
insert into numbers (
    c_tinyint, c_tinyint_1, c_bool, c_boolean, c_utinyint, c_tinyint_1_u, c_smallint, c_usmallint, c_mediumint, c_umediumint, c_int, c_uint, c_bigint, c_ubigint, c_zerofill, c_int_11,
    c_decimal, c_decimal_10_2, c_decimal_65_30, c_dec_65_0, c_numeric_5, c_fixed, c_udecimal, c_zdecimal,
    c_float, c_ufloat, c_float_24, c_float_25, c_float_7_3, c_double, c_udouble, c_real, c_double_10_4, c_double_precision, c_bit, c_bit_1, c_bit_8, c_bit_9, c_bit_64, c_year, c_default_null
) values
(
    -128, -128, true, false, 0, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 1, -1,
    -9999999999, -99999999.99, -99999999999999999999999999999999999.999999999999999999999999999999, -99999999999999999999999999999999999999999999999999999999999999999, -99999, -99999999.9999, 0, 0,
    -3.402823466e38, 0, 1e-45, 5e-324, -9999.999, -1.7976931348623157e308, 0, -0.0, -999999.9999, 1e21, b'0', b'1', b'10000001', b'100000001', b'1111111111111111111111111111111111111111111111111111111111111111', 1901, null
),
(
    127, 127, false, true, 255, 1, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 999999, 2147483647,
    9999999999, 99999999.99, 99999999999999999999999999999999999.999999999999999999999999999999, 99999999999999999999999999999999999999999999999999999999999999999, 99999, 99999999.9999, 99999999.99, 99999.999,
    3.402823466e38, 3.4e38, 16777217, 9007199254740993, 9999.999, 1.7976931348623157e308, 1.7976931348623157e308, 0.1, 999999.9999, 1e22, b'1', b'0', b'11111111', b'111111111', b'1', 2155, 1
),
(
    0, 0, 0, 1, 128, 0, 0, 32768, 0, 8388608, 0, 2147483648, 0, 9223372036854775808, 0, 0,
    0, 0, 0, 0, 0, 0, 0.01, 0.001, 0, 0.1, 0.1, 0.1, 0.001, 0, 0.1, 1e7, 0.0001, 1e-3, b'0', b'0', b'0', b'0', b'0', 0, 2
),
(
    1, 2, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 9223372036854775807, 42, 42,
    1, 1.5, 1.5, 1, 1, 1.5, 1.5, 1.5, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 123456789.123, b'1', b'1', b'1', b'1', b'10', 2026, 3
);

-- Texts in every charset; one megabyte; bytes.
create table texts (
    id varchar(200) character set utf8mb4 primary key,
    c_char char(5), c_char_1 char, c_varchar varchar(100), c_tinytext tinytext, c_text text, c_mediumtext mediumtext, c_longtext longtext,
    c_latin1 varchar(100) character set latin1, c_latin2 varchar(100) character set latin2, c_utf8mb3 varchar(100) character set utf8mb3, c_ucs2 varchar(100) character set ucs2,
    c_utf16 varchar(100) character set utf16, c_utf16le varchar(100) character set utf16le, c_utf32 varchar(100) character set utf32, c_gbk varchar(100) character set gbk, c_gb2312 varchar(100) character set gb2312, c_gb18030 varchar(100) character set gb18030,
    c_sjis varchar(100) character set sjis, c_cp932 varchar(100) character set cp932, c_ujis varchar(100) character set ujis, c_eucjpms varchar(100) character set eucjpms, c_big5 varchar(100) character set big5, c_euckr varchar(100) character set euckr,
    c_cp1250 varchar(100) character set cp1250, c_cp1251 varchar(100) character set cp1251, c_cp1256 varchar(100) character set cp1256, c_cp1257 varchar(100) character set cp1257, c_cp850 varchar(100) character set cp850, c_cp852 varchar(100) character set cp852, c_cp866 varchar(100) character set cp866,
    c_koi8r varchar(100) character set koi8r, c_koi8u varchar(100) character set koi8u, c_greek varchar(100) character set greek, c_hebrew varchar(100) character set hebrew, c_latin5 varchar(100) character set latin5, c_latin7 varchar(100) character set latin7, c_tis620 varchar(100) character set tis620,
    c_macroman varchar(100) character set macroman, c_macce varchar(100) character set macce, c_ascii varchar(100) character set ascii, c_bin varchar(100) character set utf8mb4 collate utf8mb4_bin, c_char_ucs2 char(4) character set ucs2, c_text_utf16 text character set utf16, c_text_latin1 text character set latin1,
    c_binary binary(6), c_binary_1 binary, c_varbinary varbinary(300), c_tinyblob tinyblob, c_blob blob, c_mediumblob mediumblob, c_longblob longblob,
    c_national national varchar(20), c_nchar nchar(4), c_enum enum('calm', 'wild', 'it''s, "quoted"', 'żé', ''), c_enum_latin1 enum('é', 'b') character set latin1, c_set set('a', 'b', 'c d', 'ż'), c_json json,
    c_default varchar(40) not null default 'a ''default'' "text" 😀', c_enum_default enum('x', 'y') not null default 'y', c_set_default set('x', 'y') not null default 'x,y', `C mixed "case" é` varchar(20)
) character set utf8mb4;
insert into texts (id) values ('nothing');
insert into texts values (
    'some', 'ab', 'c', 'varchar', 'tiny', 'text', 'medium', 'long', 'é ü ß €', 'Zażółć ľščť', 'Zażółć 中', 'Zażółć 中文', 'Zażółć 😀', 'Zażółć 😀', 'Zażółć 😀', '中文', '中文', '中文 😀',
    'あア表', 'あア表①', 'あア表', 'あア表', '中文許', '한국어', 'Zażółć', 'Привет', 'مرحبا', 'Ąžuolas', 'éüß', 'Zażółć', 'Привет', 'Привет', 'Привіт їє', 'Γειά', 'שלום', 'Türkçe ğış', 'Ąžuolas', 'สวัสดี',
    'éü', 'Zažó', 'ascii', 'Bin', 'ab', 'Zażółć 😀', 'é',
    x'00ff10', x'01', x'00ff10deadbeef', x'ff', x'00', x'fbff', x'abcdef',
    'ż', 'ab', 'wild', 'é', 'a,c d', '{"b": 1, "a": [1, 2.50, true, null, "ż😀\\n"], "c": {"d": 1e10, "e": 18446744073709551615, "f": -1.5}}', default, default, default, 'mixed'
);
insert into texts (id, c_char, c_varchar, c_text, c_latin1, c_ucs2, c_binary, c_varbinary, c_blob, c_enum, c_set, c_json) values
('empty', '', '', '', '', '', '', '', '', '', '', '""'),
('odd 😀 "\\/	', 'ż 😀', 'a\t\n\r\b\0\Z \\ \' "', concat('Zażółć 😀 \\ / ', char(1), char(31), char(127)), 'a\\\'"', ' ', x'000000000000', x'00', x'fbff', 'it''s, "quoted"', 'a,b,c d,ż', '[1, -1, 0.1, 1e-7, "2026-11-24", {}, []]'),
('spaces', '  a', ' a ', '  ', ' ', 'a ', x'2020', x'2020', x'20', 'żé', 'ż', 'null'),
(repeat('key', 60), null, repeat('ü', 100), repeat('0123456789abcdef', 4095), null, null, null, repeat('a', 300), repeat(x'ab', 60000), null, null, json_object('a', repeat('x', 70000)));
insert into texts (id, c_longtext, c_longblob, c_json) values ('1 MB', repeat('0123456789abcdef', 65536), repeat(x'ab', 300000), json_array(cast('2026-11-24' as date), cast('05:47:11.123456' as time(6)), cast('2026-11-24 05:47:11.123456' as datetime(6)), cast(1.50 as decimal(10, 2)), x'00ff', true, null, 9223372036854775807, -9223372036854775808));

-- Times.
create table times (
    id datetime(6) primary key, c_date date,
    c_time time, c_time_1 time(1), c_time_2 time(2), c_time_3 time(3), c_time_4 time(4), c_time_5 time(5), c_time_6 time(6),
    c_datetime datetime, c_datetime_1 datetime(1), c_datetime_2 datetime(2), c_datetime_3 datetime(3), c_datetime_4 datetime(4), c_datetime_5 datetime(5), c_datetime_6 datetime(6),
    c_timestamp timestamp null, c_timestamp_1 timestamp(1) null, c_timestamp_2 timestamp(2) null, c_timestamp_3 timestamp(3) null, c_timestamp_4 timestamp(4) null, c_timestamp_5 timestamp(5) null, c_timestamp_6 timestamp(6) null,
    c_year year, c_now timestamp not null default current_timestamp, c_now_6 datetime(6) not null default current_timestamp(6) on update current_timestamp(6),
    c_default_date date not null default '2026-11-24', c_default_time time(3) not null default '-12:00:00.5', c_default_datetime datetime not null default '1970-01-01 00:00:00', c_default_timestamp timestamp not null default '2026-01-01 00:00:00'
);
insert into times (id) values ('2026-11-24 05:47:11.123456');
insert into times (
    id, c_date, c_time, c_time_1, c_time_2, c_time_3, c_time_4, c_time_5, c_time_6, c_datetime, c_datetime_1, c_datetime_2, c_datetime_3, c_datetime_4, c_datetime_5, c_datetime_6,
    c_timestamp, c_timestamp_1, c_timestamp_2, c_timestamp_3, c_timestamp_4, c_timestamp_5, c_timestamp_6, c_year
) values
(
    '2026-11-24 05:47:11', '2026-11-24', '05:47:11', '05:47:11.1', '05:47:11.12', '05:47:11.123', '05:47:11.1234', '05:47:11.12345', '05:47:11.123456',
    '2026-11-24 05:47:11', '2026-11-24 05:47:11.1', '2026-11-24 05:47:11.12', '2026-11-24 05:47:11.123', '2026-11-24 05:47:11.1234', '2026-11-24 05:47:11.12345', '2026-11-24 05:47:11.123456',
    '2026-11-24 05:47:11', '2026-11-24 05:47:11.1', '2026-11-24 05:47:11.12', '2026-11-24 05:47:11.123', '2026-11-24 05:47:11.1234', '2026-11-24 05:47:11.12345', '2026-11-24 05:47:11.123456', 2026
),
(
    '1000-01-01 00:00:00', '1000-01-01', '-838:59:59', '-838:59:58.9', '-00:00:00.01', '-00:00:00.001', '-00:00:00.0001', '-05:47:11.12345', '-838:59:58.999999',
    '1000-01-01 00:00:00', '1000-01-01 00:00:00.1', '1582-10-10 00:00:00', '1900-01-01 00:00:00.001', '1969-12-31 23:59:59.9999', '1969-12-31 23:59:59.99999', '1969-12-31 23:59:59.999999',
    '1970-01-01 00:00:01', '1970-01-01 00:00:01.1', '1970-01-01 00:00:01', '1970-01-01 00:00:01.001', '1970-01-01 00:00:01.0001', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', 1901
),
(
    '9999-12-31 23:59:59.999999', '9999-12-31', '838:59:59', '838:59:58.9', '24:00:00', '00:00:00', '00:00:00.0001', '23:59:59.99999', '838:59:58.999999',
    '9999-12-31 23:59:59', '9999-12-31 23:59:59.9', '9999-12-31 23:59:59.99', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.9999', '9999-12-31 23:59:59.99999', '9999-12-31 23:59:59.999999',
    '2038-01-19 03:14:07', '2038-01-19 03:14:07', '2038-01-19 03:14:07.49', '2038-01-19 03:14:07.499', '2038-01-19 03:14:07.4999', '2038-01-19 03:14:07.49999', '2038-01-19 03:14:07.499999', 2155
),
(
    '1970-01-01 00:00:00', '1970-01-01', '00:00:00', '00:00:00', '00:00:00', '00:00:00', '00:00:00', '00:00:00', '00:00:00',
    '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00',
    '2000-02-29 12:00:00', '2000-02-29 12:00:00', '2000-02-29 12:00:00', '2000-02-29 12:00:00', '2000-02-29 12:00:00', '2000-02-29 12:00:00', '2000-02-29 12:00:00', 0
);

-- Zero dates, which only an sql_mode without NO_ZERO_DATE lets in.
set session sql_mode = '';
create table zeros (
    id int primary key, c_date date, c_date_not_null date not null, c_datetime datetime, c_datetime_6 datetime(6), c_datetime_not_null datetime not null,
    c_timestamp timestamp null, c_timestamp_not_null timestamp not null default '2026-01-01 00:00:00', c_timestamp_6 timestamp(6) null, c_year year, c_enum enum('a', 'b')
);
insert into zeros values
(1, '0000-00-00', '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0, ''),
(2, '2026-00-00', '2026-11-00', '2026-00-00 00:00:00', '2026-11-00 05:47:11.5', '2026-00-24 00:00:00', null, '2026-11-24 05:47:11', null, null, null),
(3, '0001-01-01', '0000-01-01', '0001-01-01 00:00:00', '0000-01-01 00:00:00', '0001-01-01 00:00:00', null, '2026-11-24 05:47:11', null, 70, 'invalid');
set session sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';

-- Geometry.
create table shapes (
    id int primary key, c_geometry geometry, c_point point, c_linestring linestring, c_polygon polygon, c_multipoint multipoint, c_multilinestring multilinestring, c_multipolygon multipolygon,
    c_collection geometrycollection, c_point_srid point srid 4326, c_point_not_null point not null
);
insert into shapes values
(1, null, null, null, null, null, null, null, null, null, st_geomfromtext('POINT(0 0)')),
(
    2, st_geomfromtext('POINT(1.5 -2)'), st_geomfromtext('POINT(1e300 -1e-300)'), st_geomfromtext('LINESTRING(0 0, 1 1, 2 0)'), st_geomfromtext('POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))'),
    st_geomfromtext('MULTIPOINT(0 0, 1 1)'), st_geomfromtext('MULTILINESTRING((0 0, 1 1), (2 2, 3 3))'), st_geomfromtext('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))'), st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))'),
    st_geomfromtext('POINT(52 21)', 4326), st_geomfromtext('POINT(1 2)')
),
(3, st_geomfromtext('GEOMETRYCOLLECTION EMPTY'), null, null, null, null, null, null, st_geomfromtext('GEOMETRYCOLLECTION EMPTY'), null, st_geomfromtext('POINT(3 4)'));

-- Vectors.
create table vectors (id int primary key, c_vector vector, c_vector_3 vector(3));
insert into vectors values (1, null, null), (2, to_vector('[1, 2.5, -3e-5]'), to_vector('[0, -0, 1e10]')), (3, to_vector('[0.1]'), to_vector('[0.1, 0.2, 0.3]'));
create table vectors_between_texts (id int primary key, before_it varchar(10) character set latin1, c_vector vector(3), a varchar(10) character set latin2, b varchar(10) character set utf8mb4, c varbinary(10), e enum('ć', 'b') character set utf8mb4, g geometry, d text character set utf16);
insert into vectors_between_texts values (1, 'é', to_vector('[1, 2, 3]'), 'ż', 'ż', 'ż', 'ć', null, 'ż'), (2, null, null, 'ż', 'ż', 'ż', 'ć', null, 'ż');

-- Keys of several columns and kinds.
create table many_keys (
    c_varchar varchar(50) character set utf8mb4 collate utf8mb4_bin, c_decimal decimal(10, 2), c_datetime_6 datetime(6), c_datetime_3 datetime(3), c_timestamp timestamp(6), c_date date, c_time time(6), c_binary binary(4), c_varbinary varbinary(20), c_char char(4),
    c_enum enum('a', 'b'), c_bit bit(9), c_bit_1 bit(1), c_tinyint_1 tinyint(1), c_ubigint bigint unsigned, c_year year, c_bigint bigint, body text,
    primary key (c_decimal, c_varchar, c_datetime_6, c_datetime_3, c_timestamp, c_date, c_time, c_binary, c_varbinary, c_char, c_enum, c_bit, c_tinyint_1, c_ubigint)
);
insert into many_keys values
('a\t😀/"\\é', 1.5, '2026-11-24 05:47:11.123456', '2026-11-24 05:47:11.123', '2026-11-24 05:47:11.123456', '2026-11-24', '05:47:11.123456', x'00ff10ab', x'00ff', 'ab', 'b', b'100000001', b'1', 1, 18446744073709551615, 2026, 1, 'x'),
('', 0, '1999-01-01', '1999-01-01', '1999-01-01', '1999-01-01', '00:00:00', x'00000000', x'00', '', 'a', b'0', b'0', 0, 0, 1999, -9223372036854775808, null),
('A ', 99999999.99, '1999-01-01', '1999-01-01', '1999-01-01', '1999-01-01', '00:00:00', x'ab', x'ab', 'A', 'a', b'1', b'0', -1, 9223372036854775808, 1999, 0, null);
create table uuid_keys (id binary(16) primary key, text_id char(36) not null default (uuid()));
insert into uuid_keys (id, text_id) values (uuid_to_bin('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (x'00000000000000000000000000000000', '');
create table text_keys (id varchar(20) character set latin1 primary key, other char(3));
insert into text_keys values ('é', 'a'), ('Case', 'b'), ('trailing ', 'c');
create table unsigned_keys (id bigint unsigned primary key);
insert into unsigned_keys values (0), (9223372036854775807), (9223372036854775808), (18446744073709551615);
create table `Key's "odd" name é` (`Id é` bigint, `select` varchar(20), primary key (`Id é`, `select`));
insert into `Key's "odd" name é` values (1, 'a'), (2, 'b');
create table `with.dot` (`a.b` int primary key, `%d %s` varchar(20));
insert into `with.dot` values (1, '%s %d %');

-- Without a key, and with one that is only unique.
create table no_key (a int, b varchar(20));
insert into no_key values (1, 'a'), (1, 'a'), (null, null);
create table only_unique (a int not null unique, b varchar(20));
insert into only_unique values (1, 'a'), (2, 'b');
create table unique_of_two (a int, b int not null, c varchar(20), unique key z (b, a), unique key y (c));
insert into unique_of_two values (1, 1, 'a'), (null, 2, 'b');

-- Columns that the server computes, and those that a SELECT * doesn't show.
create table computed (
    id int auto_increment primary key, price decimal(10, 2), is_stored decimal(12, 2) generated always as (price * 2) stored, is_virtual decimal(12, 2) generated always as (price * 3) virtual,
    hidden int invisible default 5, note varchar(20) default (concat('a', 'b')), key (is_virtual)
);
insert into computed (price) values (1.25), (null);
insert into computed (price, hidden) values (2, null), (3, 7);
create table hidden_key (my_row_id int auto_increment primary key invisible, a int);
insert into hidden_key (a) values (1), (2);

-- A table that changes while rows come.
create table changing (id int primary key, a varchar(20), b int default 1);
insert into changing values (1, 'before', 1);
alter table changing add column c datetime(3) default '2026-01-01', add column d enum('calm', 'wild') first;
insert into changing values ('calm', 2, 'added', 2, now(3));
alter table changing drop column a;
insert into changing values ('wild', 3, 3, null);
alter table changing rename column b to `B 2`;
insert into changing values (null, 4, 4, null);
alter table changing modify column `B 2` varchar(20);
insert into changing values (null, 5, '5', null);
alter table changing modify column c date after id, modify column d enum('calm', 'wild', 'new');
insert into changing values ('new', 6, '2026-11-24', '6');
alter table changing convert to character set latin1;
insert into changing values ('calm', 7, null, 'é');
rename table changing to changed;
insert into changed values (null, 8, null, '8');
alter table changed drop primary key, add primary key (id, `B 2`);
insert into changed values (null, 9, null, '9');
alter table changed add column big bigint unsigned not null default 18446744073709551615, algorithm = instant;
insert into changed (id, `B 2`) values (10, '10');

-- Transactions: what is rolled back is not there, what is updated or deleted adds nothing.
create table movements (id int primary key, note varchar(40));
begin;
insert into movements values (1, 'kept');
savepoint one;
insert into movements values (2, 'rolled back');
rollback to one;
insert into movements values (3, 'kept');
commit;
begin;
insert into movements values (4, 'rolled back');
rollback;
update movements set note = 'changed' where id = 1;
update movements set id = 30 where id = 3;
delete from movements where id = 30;
insert into movements values (1, 'again') on duplicate key update note = values(note);
insert ignore into movements values (1, 'again'), (5, 'new');
replace into movements values (6, 'replaced, and new');
insert into movements select id + 100, note from movements;
truncate table movements;
insert into movements values (7, 'a'), (8, 'b; with a semicolon'), (9, 'c -- no comment'), (10, 'd /* none */ # none');
# a comment
/* another */ insert into movements values (11, 'after a comment'); -- and one more
/*! insert into movements values (12, 'in a comment that is code') */;
delimiter //
create procedure add_some(n int)
begin
    declare i int default 0;
    while i < n do
        insert into movements values (1000 + i, 'of a procedure');
        set i = i + 1;
    end while;
end//
create trigger more after insert on text_keys for each row insert into movements values (500, new.id)//
delimiter ;
call add_some(3);
insert into text_keys values ('by trigger', 'd');
create table copied like movements;
insert into copied select * from movements;
create table made_of_a_query as select id, note, id * 1.5 as price, now(3) as at from movements;
create table partitioned (id int, day date, primary key (id, day)) partition by range (year(day)) (partition p0 values less than (2026), partition p1 values less than maxvalue);
insert into partitioned values (1, '2025-01-01'), (2, '2026-11-24');
create table in_myisam (id int primary key, note varchar(20)) engine = myisam;
insert into in_myisam values (1, 'a'), (2, 'b');
create temporary table gone (id int primary key);
insert into gone values (1);

-- What the server describes otherwise than it is written: Debezium has it from the server.
create table described (
    id int primary key, c_float4 float4, c_bytes char(3) byte, c_binary binary, c_unicode char(5) unicode, c_ascii varchar(5) ascii, c_charset varchar(5) character set binary, c_text text character set binary,
    c_long long varchar, c_enum enum('tab\tx', 'nl\nx', 'c''d', 'e\\f', 'g,h'), c_set set('tab\tx', 'e\\f')
) character set utf8mb4;
insert into described values
(1, 0.1, 'j', x'00', 'ż', 'a', x'00ff', x'ff', 'ż', 1, 3), (2, 1e7, x'ff00ff', '', '', '', '', '', '', 'nl\nx', ''), (3, null, null, ' ', null, null, null, null, null, 'c''d', 1), (4, 1.5, '', x'ff', '', '', '', '', '', 'e\\f', 2), (5, 1.5, '', 'a', '', '', '', '', '', 'g,h', 0);
create table of_bytes (id int primary key, a varchar(10), e enum('a', 'b')) character set binary;
insert into of_bytes values (1, x'00ff', 'a'), (2, 'abc', 'b');
create table every_bit (id int primary key, b2 bit(2), b7 bit(7), b15 bit(15), b16 bit(16), b17 bit(17), b31 bit(31), b32 bit(32), b33 bit(33), b63 bit(63));
insert into every_bit values (1, 3, 127, 32767, 65535, 131071, 2147483647, 4294967295, 8589934591, 9223372036854775807), (2, 1, 1, 1, 1, 1, 1, 1, 1, 1), (3, 2, 64, 16384, 32768, 65536, 1073741824, 2147483648, 4294967296, 4611686018427387904);

-- Keys that Debezium takes of an index, while indexes come and go.
create table index_keys (a int not null, b int);
create unique index z on index_keys (a);
insert into index_keys values (1, 2);
alter table index_keys add unique index y (b);
insert into index_keys values (2, 3);
alter table index_keys drop index z;
insert into index_keys values (2, 4);
create table lost_keys (a int not null, b int not null, unique z (a));
insert into lost_keys values (1, 1);
alter table lost_keys add primary key (b);
insert into lost_keys values (2, 2);
alter table lost_keys drop primary key;
insert into lost_keys values (3, 3);
alter table lost_keys drop key z, add unique (b);
insert into lost_keys values (4, 4);
create table word_keys (a enum('x', 'it''s', 'ü', 'y,z') character set utf8mb4 primary key);
insert into word_keys values ('x'), ('it''s'), ('ü'), ('y,z');
create table prefix_keys (a varchar(100) character set utf8mb4, b blob, primary key (a(10), b(5)));
insert into prefix_keys values ('abcdefghijklmnop', x'000102030405'), ('ż😀', '');

-- A file as its client reads it.
lock tables lost_keys write;
insert into lost_keys values (5, 5);
alter table lost_keys add c int;
insert into lost_keys values (6, 6, 6);
unlock tables;
set session sql_mode = 'NO_BACKSLASH_ESCAPES';
insert into movements values (600, 'a backslash \');
set session sql_mode = 'ANSI_QUOTES';
create table "in quotes" ("id x" int primary key, "w""q" varchar(10) default 'd');
insert into "in quotes" ("id x") values (1);
set session sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
set @change = 'alter table "in quotes" add b int';
set @change = replace(@change, '"', '`');
prepare changes from @change;
execute changes;
insert into `in quotes` values (2, 'x', 3);
insert into movements values (601, 'it\'s; ended otherwise')\G
delimiter //
create function noted(n int) returns int deterministic modifies sql data begin insert into movements values (n, 'of a function'); return n; end//
delimiter ;
set @noted = noted(602);
alter table movements add more int default 7;
insert into movements (id) values (603);
