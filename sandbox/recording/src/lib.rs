//! Recordings of screens: written before they are shown, readable by auditors only.
