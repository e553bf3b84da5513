//! kekkai-measure
