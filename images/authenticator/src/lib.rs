//! kekkai-authenticator
