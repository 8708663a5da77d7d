-- A column for each type that the reader writes as Debezium does; a key of every type that keys have.
create type mood as enum ('calm', 'wild');
create domain whole as integer;
create domain code as varchar(10);
create domain short_code as code;
create domain amount as numeric(8, 2);
create table sms (
    id bigint primary key,
    c_smallint smallint, c_integer integer, c_oid oid,
    c_text text, c_varchar varchar(40), c_char char(6), c_one_char char, c_internal "char",
    c_boolean boolean,
    c_numeric_2 numeric(12, 2), c_numeric numeric,
    c_real real, c_double double precision,
    c_date date,
    c_time time, c_time_0 time(0), c_time_1 time(1), c_time_3 time(3), c_time_5 time(5),
    c_timetz timetz, c_timetz_0 timetz(0), c_timetz_3 timetz(3),
    c_timestamp timestamp, c_timestamp_0 timestamp(0), c_timestamp_3 timestamp(3),
    c_timestamp_4 timestamp(4),
    c_timestamptz timestamptz, c_timestamptz_0 timestamptz(0), c_timestamptz_1 timestamptz(1),
    c_timestamptz_2 timestamptz(2), c_timestamptz_3 timestamptz(3), c_timestamptz_4 timestamptz(4),
    c_timestamptz_5 timestamptz(5),
    c_uuid uuid, c_enum mood, c_json json, c_jsonb jsonb, c_bytea bytea,
    c_whole whole, c_code code, c_short_code short_code, c_amount amount,
    c_inet inet, c_cidr cidr, c_macaddr macaddr, c_range int4range, c_tsvector tsvector,
    "C mixed ""case""" text,
    c_generated text generated always as ('x' || id) stored
);
create table sms_composite (
    c_text text, c_numeric numeric(10, 2), c_uuid uuid, c_timestamptz timestamptz, c_bytea bytea,
    c_date date, c_char char(4), c_enum mood, c_timestamp_3 timestamp(3), c_boolean boolean,
    c_smallint smallint, c_double double precision, c_real real, c_time time,
    "C mixed ""case""" varchar, c_jsonb jsonb, c_timestamp timestamp, body text,
    primary key (
        c_numeric, c_text, c_uuid, c_timestamptz, c_bytea, c_date, c_char, c_enum, c_timestamp_3,
        c_boolean, c_smallint, c_double, c_real, c_time, "C mixed ""case""", c_jsonb, c_timestamp
    )
);
