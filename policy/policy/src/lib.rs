//! kekkai-policy
