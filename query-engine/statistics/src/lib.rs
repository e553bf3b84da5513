//! The statistics of clinical research: survival, regression, tests; pure.
