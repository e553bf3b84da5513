//! kekkai-engine
