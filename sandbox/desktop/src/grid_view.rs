//! A table on the screen: only what is visible is drawn, however many rows there are.
