//! kekkai-demo
