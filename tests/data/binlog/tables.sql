CREATE TABLE numbers (
  id INT NOT NULL PRIMARY KEY,
  c_tinyint TINYINT, c_tinyint_u TINYINT UNSIGNED, c_bool BOOLEAN, c_tiny1 TINYINT(1),
  c_smallint SMALLINT, c_smallint_u SMALLINT UNSIGNED,
  c_mediumint MEDIUMINT, c_mediumint_u MEDIUMINT UNSIGNED,
  c_int INT, c_int_u INT UNSIGNED, c_integer_u INTEGER UNSIGNED, c_zerofill INT(8) ZEROFILL,
  c_bigint BIGINT, c_bigint_u BIGINT UNSIGNED,
  c_decimal DECIMAL(10,2), c_decimal_u DECIMAL(10,2) UNSIGNED, c_numeric NUMERIC(30,15), c_dec DECIMAL, c_dec65 DECIMAL(65,30), c_dec_all DECIMAL(4,4),
  c_float FLOAT, c_float_2 FLOAT(10,2), c_float_53 FLOAT(53), c_float_u FLOAT UNSIGNED, c_double DOUBLE, c_double_2 DOUBLE(20,3), c_real REAL, c_dp DOUBLE PRECISION,
  c_bit BIT, c_bit_1 BIT(1), c_bit_5 BIT(5), c_bit_8 BIT(8), c_bit_9 BIT(9), c_bit_64 BIT(64),
  c_year YEAR, c_default INT DEFAULT 5, c_default_text VARCHAR(10) DEFAULT 'abc'
);
CREATE TABLE texts (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  c_char CHAR(20), c_varchar VARCHAR(255), c_varchar_long VARCHAR(2000), c_tinytext TINYTEXT, c_text TEXT, c_mediumtext MEDIUMTEXT, c_longtext LONGTEXT,
  c_nchar NCHAR(10), c_nvarchar NVARCHAR(10), c_char_long CHAR(255),
  c_bin_collation VARCHAR(20) COLLATE utf8mb4_bin, c_collate VARCHAR(20) COLLATE latin1_swedish_ci, c_char_binary CHAR(5) BINARY,
  c_binary BINARY(6), c_binary_1 BINARY, c_varbinary VARBINARY(20), c_tinyblob TINYBLOB, c_blob BLOB, c_mediumblob MEDIUMBLOB, c_longblob LONGBLOB,
  c_enum ENUM('pending','sent','with, comma','it''s','back\\slash','ä€','') , c_set SET('a','b','it''s','ü'), c_enum_nn ENUM('x','y') NOT NULL,
  c_enum_latin ENUM('é','b') CHARACTER SET latin1
);
CREATE TABLE charsets (
  id INT NOT NULL PRIMARY KEY,
  c_latin1 VARCHAR(40) CHARACTER SET latin1, c_latin2 VARCHAR(40) CHARACTER SET latin2, c_latin5 VARCHAR(40) CHARACTER SET latin5, c_latin7 VARCHAR(40) CHARACTER SET latin7,
  c_greek VARCHAR(40) CHARACTER SET greek, c_hebrew VARCHAR(40) CHARACTER SET hebrew, c_cp1250 VARCHAR(40) CHARACTER SET cp1250, c_cp1251 VARCHAR(40) CHARACTER SET cp1251,
  c_cp1256 VARCHAR(40) CHARACTER SET cp1256, c_cp1257 VARCHAR(40) CHARACTER SET cp1257, c_cp850 VARCHAR(40) CHARACTER SET cp850, c_cp852 VARCHAR(40) CHARACTER SET cp852, c_cp866 VARCHAR(40) CHARACTER SET cp866,
  c_koi8r VARCHAR(40) CHARACTER SET koi8r, c_koi8u VARCHAR(40) CHARACTER SET koi8u, c_macce VARCHAR(40) CHARACTER SET macce, c_macroman VARCHAR(40) CHARACTER SET macroman,
  c_dec8 VARCHAR(40) CHARACTER SET dec8, c_hp8 VARCHAR(40) CHARACTER SET hp8, c_swe7 VARCHAR(40) CHARACTER SET swe7, c_armscii8 VARCHAR(40) CHARACTER SET armscii8, c_geostd8 VARCHAR(40) CHARACTER SET geostd8,
  c_keybcs2 VARCHAR(40) CHARACTER SET keybcs2, c_tis620 VARCHAR(40) CHARACTER SET tis620, c_ascii VARCHAR(40) CHARACTER SET ascii,
  c_big5 VARCHAR(40) CHARACTER SET big5, c_gbk VARCHAR(40) CHARACTER SET gbk, c_gb2312 VARCHAR(40) CHARACTER SET gb2312, c_sjis VARCHAR(40) CHARACTER SET sjis, c_cp932 VARCHAR(40) CHARACTER SET cp932,
  c_ujis VARCHAR(40) CHARACTER SET ujis, c_eucjpms VARCHAR(40) CHARACTER SET eucjpms, c_euckr VARCHAR(40) CHARACTER SET euckr,
  c_utf8 VARCHAR(40) CHARACTER SET utf8, c_utf8mb4 VARCHAR(40) CHARACTER SET utf8mb4, c_ucs2 VARCHAR(40) CHARACTER SET ucs2, c_utf16 VARCHAR(40) CHARACTER SET utf16, c_utf16le VARCHAR(40) CHARACTER SET utf16le, c_utf32 VARCHAR(40) CHARACTER SET utf32,
  c_ucs2_char CHAR(10) CHARACTER SET ucs2, c_binary VARCHAR(40) CHARACTER SET binary
);
CREATE TABLE times (
  id INT NOT NULL PRIMARY KEY,
  c_date DATE, c_date_nn DATE NOT NULL, c_date_default DATE NOT NULL DEFAULT '2020-02-03',
  c_time TIME, c_time_1 TIME(1), c_time_3 TIME(3), c_time_6 TIME(6),
  c_datetime DATETIME, c_datetime_1 DATETIME(1), c_datetime_3 DATETIME(3), c_datetime_4 DATETIME(4), c_datetime_6 DATETIME(6), c_datetime_nn DATETIME NOT NULL, c_datetime_default DATETIME(6) NOT NULL DEFAULT '2020-02-03 04:05:06.5',
  c_timestamp TIMESTAMP NULL, c_timestamp_1 TIMESTAMP(1) NULL, c_timestamp_3 TIMESTAMP(3) NULL, c_timestamp_6 TIMESTAMP(6) NULL, c_timestamp_nn TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), c_timestamp_default TIMESTAMP(3) NOT NULL DEFAULT '2020-02-03 04:05:06.500', c_timestamp_null TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
  c_year YEAR
);
CREATE TABLE geometries (
  id INT NOT NULL PRIMARY KEY, c_geometry GEOMETRY, c_point POINT, c_linestring LINESTRING, c_polygon POLYGON, c_multipoint MULTIPOINT, c_multilinestring MULTILINESTRING, c_multipolygon MULTIPOLYGON, c_collection GEOMETRYCOLLECTION
);
CREATE TABLE documents (id INT NOT NULL PRIMARY KEY, c_json JSON, c_json_nn JSON NOT NULL);
CREATE TABLE keyed (
  k_varchar VARCHAR(20) NOT NULL, k_char CHAR(5) NOT NULL, k_decimal DECIMAL(10,2) NOT NULL, k_date DATE NOT NULL, k_datetime DATETIME(6) NOT NULL, k_datetime_3 DATETIME(3) NOT NULL, k_timestamp TIMESTAMP(6) NOT NULL, k_time TIME NOT NULL, k_binary BINARY(4) NOT NULL, k_enum ENUM('a','b') NOT NULL,
  k_bigint BIGINT UNSIGNED NOT NULL, k_bit BIT(9) NOT NULL, k_bit_1 BIT(1) NOT NULL, k_year YEAR NOT NULL, k_double DOUBLE NOT NULL, k_set SET('x','y') NOT NULL, plain INT,
  PRIMARY KEY (k_bigint, k_varchar, k_char, k_decimal, k_date, k_datetime, k_datetime_3, k_timestamp, k_time, k_binary, k_enum, k_bit, k_bit_1, k_year, k_set)
);
CREATE TABLE generated_columns (
  id INT NOT NULL PRIMARY KEY, a INT NOT NULL, c_virtual INT AS (a * 2) VIRTUAL, c_stored VARCHAR(20) AS (CONCAT('a', a)) STORED, z INT
);
