//! Marks on every screen: one that people read, one that only the reader finds.
