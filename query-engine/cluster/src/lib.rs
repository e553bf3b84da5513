//! Further analysis servers: parts of a plan, over mutual TLS.
