//! kekkai-policyd
