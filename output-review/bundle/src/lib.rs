//! kekkai-bundle
