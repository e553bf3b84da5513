//! kekkai-sys
