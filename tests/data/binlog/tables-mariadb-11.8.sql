CREATE TABLE with_vector (id INT NOT NULL PRIMARY KEY, c_vector VECTOR(3));
