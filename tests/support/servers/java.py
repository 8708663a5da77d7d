"""What Kafka and Kafka Connect share: Java, Maven's jars, a properties file, a command line."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from support.servers.machine import install_jars, install_packages

KAFKA_VERSION = "4.3.1"
LOGGING_VERSION = "2.25.4"
LOGGING = {
    "rootLogger.level": "INFO",
    "rootLogger.appenderRef.console.ref": "console",
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "%d %p %c{1} %m%n",
}


def install_java(server: str) -> None:
    """Install Java if it is missing: Kafka 4 asks for 17 or newer, which Debian 12 has."""
    if shutil.which("java") is None:
        install_packages(server, "default-jre-headless")


def kafka_jars(server: str) -> Path:
    """Return the folder with the jars of Kafka and Kafka Connect, fetched if missing."""
    return install_jars(
        server,
        "kafka",
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}",
        f"org.apache.kafka:connect-json:{KAFKA_VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOGGING_VERSION}",
    )


def read_properties(path: Path) -> dict[str, str]:
    """Read a Java properties file of one line a property."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.partition("=")[::2] for line in lines)


def write_properties(path: Path, settings: Mapping[str, str]) -> Path:
    """Write a Java properties file."""
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def java_command(server: str, folder: Path) -> list[str]:
    """Return the start of a command line; the main class and its arguments follow."""
    logging = write_properties(folder / "log4j2.properties", LOGGING)
    return [
        "java",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        f"{kafka_jars(server)}/*",
    ]
