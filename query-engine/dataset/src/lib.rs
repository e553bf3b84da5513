//! kekkai-dataset
