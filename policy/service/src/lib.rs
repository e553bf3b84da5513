//! kekkai-service
