//! Words about statements.

use crate::words::words;

words! {
    RUN_ROWS = "行を見る", "Show rows";
}
