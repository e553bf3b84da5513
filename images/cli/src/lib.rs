//! kekkai-cli
