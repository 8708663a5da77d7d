CREATE TABLE only_mariadb (id UUID NOT NULL PRIMARY KEY, c_uuid UUID, c_invisible INT INVISIBLE);
