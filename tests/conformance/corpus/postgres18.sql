
-- What PostgreSQL 18 has beside the versions before, and an extension that its build has.
create extension vector;
create table of_version_18 (
    id uuid primary key default uuidv7(), price numeric(10, 2), virtual numeric generated always as (price * 2) virtual,
    stored numeric generated always as (price * 3) stored, numeric_negative numeric(5, -2), numeric_small numeric(3, 5)
);
insert into of_version_18 (price, numeric_negative, numeric_small) values (1.25, 12345, 0.00123), (null, -50, -0.00999), (0, null, null), (1, 1234567, 0);
create table of_vector (id integer primary key, c_vector vector(3), c_halfvec halfvec(3), c_sparsevec sparsevec(5), c_vectors vector[]);
insert into of_vector values (1, '[1,2.5,-3e-5]', '[1,2.5,-3]', '{1:1.5,3:-2}/5', null), (2, null, null, null, null), (3, '[0,0,0]', '[0,0,0]', '{}/5', null);
create table of_version_17 (id integer primary key, c_interval interval, c_intervals interval[]);
insert into of_version_17 values (1, 'infinity', '{infinity}'), (2, '-infinity', null);
