//! kekkai-checks
