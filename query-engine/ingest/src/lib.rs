//! kekkai-ingest
