INSERT INTO with_vector VALUES (1, Vec_FromText('[0.1, -2, 30000000000]')), (2, NULL);
