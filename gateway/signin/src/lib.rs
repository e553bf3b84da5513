//! kekkai-signin
