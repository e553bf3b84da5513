//! kekkai-tpm
