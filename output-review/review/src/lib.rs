//! kekkai-review
