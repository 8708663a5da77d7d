"""What tests and scripts share: real servers, a fault proxy, waiting, our commands as processes."""
