//! kekkai-ledger
