"""MySQL and MariaDB as a source: the binlog, read as a replica reads it."""
