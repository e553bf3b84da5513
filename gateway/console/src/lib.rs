//! kekkai-console
