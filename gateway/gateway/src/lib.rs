//! kekkai-gateway
