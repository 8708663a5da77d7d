
-- What MariaDB has from 11.7 on.
create table vectors (id int primary key, c_vector_3 vector(3) not null);
insert into vectors values (1, vec_fromtext('[1, 2.5, -3e-5]')), (2, vec_fromtext('[0, -0, 1e10]')), (3, vec_fromtext('[0.1, 0.2, 0.3]'));
create table of_version_11 (id int primary key, c_vector vector(2) null, c_uca varchar(20) character set utf8mb4 collate utf8mb4_uca1400_ai_ci);
insert into of_version_11 values (1, null, 'é'), (2, vec_fromtext('[1, 2]'), null);
