//! kekkai-sql-worker
