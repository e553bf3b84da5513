//! A project's own copy of the data that its agreement grants.
