//! kekkai-analysis
