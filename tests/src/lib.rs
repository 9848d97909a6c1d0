//! Fixtures of the end-to-end tests: plugins compiled on first use. What is tested lives in `tests/tests/`.

pub mod guests;
